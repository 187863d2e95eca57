"""Processes that end with their parent, and functions run in a process of their own."""

import ctypes
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any, TypeVar

from holdfast.common.errors import UserError

T = TypeVar("T")
GRACE_S = 8.0
_POLL_S = 0.5


def end_with_parent() -> None:
    """This process gets SIGTERM when its parent dies (Linux), so a killed build leaves no orphan on a GPU."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


@contextmanager
def stopping_cleanly() -> Iterator[None]:
    """Inside, SIGTERM raises SystemExit(143) and SIGINT SystemExit(130), so that engines shut down.

    If the process is still there after GRACE_S (a long step in foreign code), it ends at once: finished rows are safe.
    Outside the main thread this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in (signal.SIGTERM, signal.SIGINT):  # the kernel may send it again, once for each thread of a parent
            signal.signal(each, signal.SIG_IGN)
        print(f"stopped by {signal.Signals(number).name}; finished rows are kept", file=sys.stderr, flush=True)
        raise SystemExit(128 + number)

    def watch(reader: int) -> None:
        while data := os.read(reader, 1):  # Python writes the signal's number here, also while foreign code runs
            if data[0] in (signal.SIGTERM, signal.SIGINT):
                if not ended.wait(GRACE_S):
                    os._exit(128 + data[0])
                return

    ended = threading.Event()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    threading.Thread(target=watch, args=(reader,), daemon=True).start()
    old_wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    old = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(old_wakeup)
        ended.set()
        os.close(writer)  # ends the watcher


def in_own_process(what: str, function: Callable[..., T], *arguments: Any) -> T:
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
            while not reading.poll(_POLL_S) and child.is_alive():  # its own children may keep the pipe open
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
        how = f"killed by signal {-status}, perhaps because memory ran out" if status < 0 else "broken off"
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
