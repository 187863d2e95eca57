"""GPUs of one's own: Snakemake counts how many a job needs, this says which ones it gets."""

import fcntl
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from holdfast.errors import UserError

WAIT_S = 2.0


@contextmanager
def own_gpus(count: int, folder: Path | None = None) -> Iterator[list[str]]:
    """Hold `count` GPUs of this machine that no other job holds, waiting if need be; CUDA_VISIBLE_DEVICES names them.

    They are chosen among those of CUDA_VISIBLE_DEVICES (a scheduler's choice) or else all. Must be entered before CUDA
    is. A job's locks end with its process. With `count` 0 nothing happens. Raises UserError when there are too few.
    """
    if not count:
        yield []
        return
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    there = [name.strip() for name in given.split(",") if name.strip()] if given is not None else _all_gpus()
    if len(there) < count:
        raise UserError(f"{count} GPUs are needed (`gpus` in params.yaml), {len(there)} are here; correct it")
    folder = folder or Path(tempfile.gettempdir()) / "holdfast-gpus"
    folder.mkdir(mode=0o777, parents=True, exist_ok=True)
    with ExitStack() as locks:
        held = _take(count, there, folder, locks)
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
    for name in names:
        if len(held) < count:
            lock = locks.enter_context((folder / f"{name.replace('/', '_')}.lock").open("ab"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held.append(name)
            except BlockingIOError:
                pass
    return held


def _all_gpus() -> list[str]:
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return []
    return listed.stdout.split()
