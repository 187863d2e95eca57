"""One build at a time in a checkout."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from holdfast.common.errors import UserError
from holdfast.common.locks import open_lock, try_lock

BUILD_LOCK = Path(".holdfast/build.lock")


@contextlib.contextmanager
def building(what: str, shared: bool) -> Iterator[None]:
    """Hold the build lock; `shared` for a job of the build that holds it.

    Raises UserError when another build runs. The lock ends with the process, so a killed build leaves none behind.
    """
    BUILD_LOCK.parent.mkdir(exist_ok=True)
    with open_lock(BUILD_LOCK) as file:
        take(file, what, shared)
        yield


def check_no_build() -> None:
    """Raises UserError when a build runs in this checkout."""
    with building("holdfast", shared=False):
        pass


def take(file: IO[bytes], what: str, shared: bool) -> None:
    """Lock the open lock file, and write `what` into it unless `shared`. Raises UserError when another build runs."""
    if not try_lock(file, shared=shared):
        holder = file.read().decode(errors="replace").strip() or "unknown process"
        raise UserError(f"another build runs in this checkout: {holder}; wait until it ends, or stop it")
    if not shared:
        file.truncate()
        file.write(f"{what}, process {os.getpid()} on {os.uname().nodename}\n".encode())
        file.seek(0)


def hold_build() -> IO[bytes]:
    """For Snakemake's main process, before its first job: the lock lasts as long as the returned file stays open.

    It is taken alone first, which fails while another build runs, then shared with the jobs of this build.
    """
    BUILD_LOCK.parent.mkdir(exist_ok=True)
    file = open_lock(BUILD_LOCK)
    take(file, "snakemake", shared=False)
    take(file, "snakemake", shared=True)
    return file
