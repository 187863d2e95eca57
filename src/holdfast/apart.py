"""A function in a process of its own, whose memory (also a GPU's) is free again afterwards, as vLLM's is not."""

import traceback
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from holdfast.errors import UserError
from holdfast.stopping import GRACE_S, end_with_parent, stopping_cleanly

T = TypeVar("T")
_LOOK_S = 0.5  # how often is looked whether the process still lives


def apart(what: str, function: Callable[..., T], *arguments: Any) -> T:
    """What `function(*arguments)` returns in a new process; all of it must be picklable.

    Raises the UserError that it raises, and one that begins with `what` when the process breaks or is killed. A SIGTERM
    or Ctrl-C here ends the process too, and then this one with the conventional status.
    """
    context = get_context("spawn")
    reading, writing = context.Pipe(duplex=False)
    child = context.Process(target=_run, args=(writing, function, arguments))
    with stopping_cleanly():
        child.start()
        writing.close()
        said: tuple[bool, Any] | None = None
        try:
            while not reading.poll(_LOOK_S) and child.is_alive():  # its own children may keep the pipe open
                pass
            said = reading.recv() if reading.poll() else None
        except EOFError:
            pass
        except BaseException:
            child.terminate()
            raise
        finally:
            child.join(GRACE_S if said is None else None)
            if child.is_alive():
                child.kill()
                child.join()
    if said is None:
        status = child.exitcode or 0
        if status in (130, 143):
            raise SystemExit(status)
        how = f"killed by signal {-status}, perhaps for memory" if status < 0 else "broken off"
        raise UserError(f"{what}: its process was {how}; its last messages are above")
    fine, value = said
    if not fine:
        raise UserError(value)
    return value  # type: ignore[no-any-return]


def _run(writing: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    end_with_parent()
    try:
        said = (True, function(*arguments))
    except UserError as error:
        said = (False, str(error))
    except Exception:
        traceback.print_exc()
        raise SystemExit(1) from None
    writing.send(said)
