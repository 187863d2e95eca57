"""GPUs of one's own: Snakemake counts how many a job needs, this says which ones it gets."""

import fcntl
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from holdfast.common.errors import UserError

WAIT_S = 2.0


@contextmanager
def own_gpus(count: int, folder: Path | None = None) -> Iterator[list[str]]:
    """Hold `count` GPUs of this machine that no other job holds, waiting if need be; CUDA_VISIBLE_DEVICES names them.

    They are chosen among those of CUDA_VISIBLE_DEVICES (a scheduler's choice) or else all. Must be entered before CUDA
    is. A job's locks end with its process. With `count` 0 nothing happens. Raises UserError when there are too few, or
    when the folder of the locks, which all users of the machine share, cannot be used.
    """
    if not count:
        yield []
        return
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    there = [name.strip() for name in given.split(",") if name.strip()] if given is not None else _all_gpus()
    if len(there) < count:
        raise UserError(f"{count} GPUs are needed (`gpus` in params.yaml), {len(there)} are here; correct it")
    folder = folder or Path(tempfile.gettempdir()) / "holdfast-gpus"
    with ExitStack() as locks:
        held = _take(count, there, folder, locks)
        if len(held) < count:
            print(f"waiting until {count} of the GPUs {', '.join(there)} are free of other jobs", flush=True)
        while len(held) < count:  # let go before waiting: two jobs must not each hold half
            locks.close()
            time.sleep(WAIT_S)
            held = _take(count, there, folder, locks)
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(held)
        try:
            yield held
        finally:
            if given is None:
                del os.environ["CUDA_VISIBLE_DEVICES"]
            else:
                os.environ["CUDA_VISIBLE_DEVICES"] = given


def _take(count: int, names: list[str], folder: Path, locks: ExitStack) -> list[str]:
    held: list[str] = []
    mask = os.umask(0)  # whoever comes first, everybody may lock
    try:
        folder.mkdir(mode=0o777, parents=True, exist_ok=True)
        for name in names:
            if len(held) < count:
                path = folder / f"{name.replace('/', '_')}.lock"
                lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
                locks.callback(os.close, lock)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    held.append(name)
                except BlockingIOError:
                    pass
    except OSError as error:
        raise UserError(
            f"{error.filename or folder}: {error.strerror}; jobs lock their GPUs there: let everybody write to"
            f" {folder} and what is in it (chmod -R a+rwX), or remove it while nothing runs"
        ) from error
    finally:
        os.umask(mask)
    return held


def _all_gpus() -> list[str]:
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return []
    return listed.stdout.split()
