"""File locks between processes (`flock`). A lock ends with its process: nobody ever has to delete a lock file."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

LOCKS_STAY = Path(".holdfast/locks-stay-on-host")  # there once a job saw that other hosts' locks are not seen here


def open_lock(path: str | os.PathLike[str], mode: int = 0o644) -> IO[bytes]:
    """Open a lock file, created if need be, without changing what is in it.

    It is opened for reading and writing: over NFSv4 a shared lock needs the one and an exclusive lock the other.
    """
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode), "r+b", buffering=0)


def try_lock(file: IO[bytes], *, shared: bool = False) -> bool:
    """Lock an open file, or turn the lock that it has into this one; False when other processes' locks forbid it.

    A conversion from shared to exclusive is not atomic: a failed one may leave the file unlocked.
    """
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        return False
    return True


def lock(file: IO[bytes], *, shared: bool = False) -> None:
    """Lock an open file, waiting for other processes."""
    fcntl.flock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path` alone, waiting for it."""
    with open_lock(path) as file:
        lock(file)
        yield
