"""Which GPUs a job gets: Snakemake only counts how many it needs."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from holdfast.common.errors import UserError
from holdfast.common.locks import open_lock, try_lock
from holdfast.common.wording import counted

WAIT_S = 2.0


@contextmanager
def own_gpus(count: int, folder: Path | None = None) -> Iterator[list[str]]:
    """Lock `count` GPUs of this machine that no other job has locked, waiting if need be, and set CUDA_VISIBLE_DEVICES.

    They are chosen among those that CUDA_VISIBLE_DEVICES names already (a scheduler's choice), else among all. To be
    entered before CUDA starts. With `count` 0 nothing happens. Raises UserError when the machine has too few, or when
    the folder of the locks, which all users of the machine share, cannot be used.
    """
    if not count:
        yield []
        return
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    there = [name.strip() for name in given.split(",") if name.strip()] if given is not None else all_gpus()
    if len(there) < count:
        raise UserError(
            f"this job needs {counted(count, 'GPU')} (`gpus` in params.yaml), but can use {len(there)} here; lower it,"
            " or use a machine with more GPUs"
        )
    folder = folder or Path(tempfile.gettempdir()) / "holdfast-gpus"
    with ExitStack() as locks:
        held = _take(count, there, folder, locks)
        if len(held) < count:
            print(f"waiting for {counted(count, 'GPU')} that no other job uses, of {', '.join(there)} …", flush=True)
        while len(held) < count:  # unlock before waiting, or two jobs could wait for each other's half
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
    mask = os.umask(0)  # whichever user creates the files, all others may lock them
    try:
        folder.mkdir(mode=0o777, parents=True, exist_ok=True)
        for name in names:
            if len(held) < count:
                lock = locks.enter_context(open_lock(folder / f"{name.replace('/', '_')}.lock", 0o666))
                if try_lock(lock):
                    held.append(name)
    except OSError as error:
        raise UserError(
            f"{error.filename or folder}: {error.strerror}; jobs lock their GPUs there: give all users write access to"
            f" {folder} and the files in it (chmod -R a+rwX)"
        ) from error
    finally:
        os.umask(mask)
    return held


def all_gpus() -> list[str]:
    """The numbers of this machine's GPUs; empty where there are none."""
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return []
    return listed.stdout.split()
