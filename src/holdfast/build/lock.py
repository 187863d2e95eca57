"""One build at a time in a checkout."""

import contextlib
import fcntl
import io
import os
from collections.abc import Iterator
from pathlib import Path

from holdfast.common.errors import UserError

BUILD_LOCK = Path(".holdfast/build.lock")


@contextlib.contextmanager
def building(what: str, shared: bool) -> Iterator[None]:
    """Hold the build lock: one build at a time in a checkout; `shared` for the jobs of the build that holds it.

    Raises UserError when another build runs. The lock goes with the process, so a killed build leaves none behind.
    """
    BUILD_LOCK.parent.mkdir(exist_ok=True)
    with BUILD_LOCK.open("a+") as lock:
        take(lock, what, shared)
        yield


def check_no_build() -> None:
    """Raises UserError when a build runs in this checkout."""
    with building("holdfast", shared=False):
        pass


def take(lock: io.TextIOWrapper, what: str, shared: bool) -> None:
    """Lock an open build lock file. A whole build takes it alone first, then shares it with its own jobs."""
    try:
        if not shared:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            lock.seek(0)
            lock.truncate()
            lock.write(f"{what}, process {os.getpid()} on {os.uname().nodename}\n")
            lock.flush()
        else:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        lock.seek(0)
        raise UserError(
            f"another build runs in this checkout: {lock.read().strip()}; wait for it or stop it"
        ) from error


def hold_build() -> io.TextIOWrapper:
    """Snakemake's main process, before its first job: the lock lasts as long as the returned file stays open."""
    BUILD_LOCK.parent.mkdir(exist_ok=True)
    lock = BUILD_LOCK.open("a+")
    take(lock, "snakemake", shared=False)
    take(lock, "snakemake", shared=True)
    return lock
