"""Who builds in a checkout: one build at a time, and its jobs, on any host that shares the file system.

A build is one Snakemake call or one stage of `dvc repro`. It holds `.holdfast/build.lock`: by `flock`, which the
kernel ends with its process, and by its name in the file and the file's time stamp, renewed every BEAT_S seconds, for
file systems whose locks do not reach other hosts. Each of its jobs has a file in `.holdfast/jobs` while it runs,
with its host, process and SLURM job. The next build stops what is left of the last one before it starts a job, and
a job that starts late sees by the build's id that its build is over.
"""

import contextlib
import errno
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from holdfast.build.atomic import replace_text
from holdfast.build.owner import SILENT_S, Beat, Owner, silent_s
from holdfast.common.errors import UserError
from holdfast.common.locks import LOCKS_STAY, open_lock, try_lock

BUILD = "HOLDFAST_BUILD"  # in the environment of a build's jobs: the build's id
BUILD_LOCK = Path(".holdfast/build.lock")
JOBS = Path(".holdfast/jobs")
STAYING = (
    "file locks do not reach other hosts on this file system; the journal keeps other hosts' unfinished files for a day"
    " instead (docs/clusters.md)"
)
STOP_S = 120.0  # how long a job of an earlier build may take to end


class Build:
    """The build lock of this process, held until `end` or the process's end."""

    def __init__(self, what: str) -> None:
        """Raises UserError when another build runs in this checkout."""
        BUILD_LOCK.parent.mkdir(exist_ok=True)
        self.owner = Owner.this_process(what, uuid.uuid4().hex)
        self.file = open_lock(BUILD_LOCK)
        _refuse_another(self.file)
        _write(self.file, self.owner.text())
        self.beat = Beat(BUILD_LOCK)

    def end(self) -> None:
        self.beat.ended.set()
        _write(self.file, b"")
        self.file.close()


def _write(file: IO[bytes], text: bytes) -> None:
    file.seek(0)
    file.truncate()
    file.write(text)
    os.fsync(file.fileno())


def _refuse_another(file: IO[bytes]) -> None:
    """Lock the file. Raises UserError, naming the owner, when another build runs."""
    try:
        locked = try_lock(file)
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        locked = True  # a file system without locks: what the file says has to do
    file.seek(0)
    owner = Owner.read(file.read())
    if locked and (owner is None or (owner.host == os.uname().nodename and not owner.runs_here())):
        return
    before = 0.0
    while locked and owner is not None and not owner.runs_here() and owner == current_owner():
        silent = silent_s(BUILD_LOCK)
        if silent > SILENT_S:
            return
        if silent < before:  # a sign of life
            break
        before = silent
        time.sleep(1)
    file.close()
    raise UserError(
        f"another build runs in this checkout: {owner or 'unknown process'}; wait until it ends, or stop it"
    )


def current_owner() -> Owner | None:
    """The owner named in the build lock's file, dead or alive."""
    try:
        return Owner.read(BUILD_LOCK.read_bytes())
    except OSError:
        return None


def check_no_build() -> None:
    """Raises UserError when a build runs in this checkout."""
    BUILD_LOCK.parent.mkdir(exist_ok=True)
    with open_lock(BUILD_LOCK) as file:
        _refuse_another(file)


@contextlib.contextmanager
def running_job(stage: str) -> Iterator[None]:
    """Inside, the stage has a file in JOBS, with this process as its owner, that shows a beat.

    Raises UserError when the job's build is over, or the stage's job already runs. When another build takes over the
    checkout meanwhile, this process gets SIGTERM.
    """
    path, owner = JOBS / stage, Owner.this_process(stage, os.environ[BUILD])
    check_build(stage)
    other = Owner.read(path.read_bytes()) if path.exists() else None
    # a job that SLURM started again has the number of its first run, which has ended
    if other is not None and (not owner.slurm_job or owner.slurm_job != other.slurm_job) and _alive(other, path):
        raise UserError(f"{stage}: not started, because it already runs ({other.where()})")
    replace_text(path, owner.text().decode())
    beat = Beat(path, _end_with_build)
    try:
        check_build(stage)  # a build that began before the file was there does not know of it
        _note_reach_of_locks()
        yield
    finally:
        beat.ended.set()
        path.unlink(missing_ok=True)


def _note_reach_of_locks() -> None:
    """Try the lock that the build on another host holds: if it can be had, locks do not reach between hosts here."""
    owner = current_owner()
    if LOCKS_STAY.exists() or owner is None or owner.host == os.uname().nodename:
        return
    with contextlib.suppress(OSError), open_lock(BUILD_LOCK) as file:
        if try_lock(file) and owner == current_owner():
            LOCKS_STAY.touch()
            print(f"WARNING: {STAYING}", flush=True)


def _end_with_build() -> None:
    owner = current_owner()
    if owner is not None and owner.build != os.environ[BUILD]:
        os.kill(os.getpid(), signal.SIGTERM)


def check_build(stage: str) -> None:
    """Raises UserError when the build that this job belongs to has ended."""
    owner = current_owner()
    if owner is None or owner.build != os.environ[BUILD]:
        raise UserError(
            f"{stage}: not started, because the build that submitted this job has ended; nothing was changed"
        )


def stop_earlier_jobs(build: str, say: Callable[[str], object]) -> None:
    """Stop jobs of earlier builds that still run. `say(text)` is called for each.

    Raises UserError for one that cannot be stopped from here.
    """
    for path in sorted(JOBS.glob("*")):
        owner = Owner.read(path.read_bytes()) if path.is_file() else None
        if owner is None or owner.build == build:
            if owner is None and not path.name.startswith("."):
                path.unlink(missing_ok=True)  # torn: its process died while it wrote
            continue
        if _alive(owner, path):
            say(f"stopping {owner.what}, a job of an earlier build ({owner.where()})")
            _stop(owner, path)
        path.unlink(missing_ok=True)


def _alive(owner: Owner, path: Path) -> bool:
    if owner.host == os.uname().nodename and not owner.slurm_job:
        return owner.runs_here()
    if owner.slurm_job and (listed := _slurm_lists(owner.slurm_job)) is not None:
        return listed
    return silent_s(path) < SILENT_S


def _stop(owner: Owner, path: Path) -> None:
    deadline = time.monotonic() + STOP_S
    if owner.slurm_job:
        subprocess.run(["scancel", owner.slurm_job], capture_output=True)
    elif owner.runs_here():
        with contextlib.suppress(ProcessLookupError):
            os.kill(owner.process, signal.SIGTERM)
    while _alive(owner, path):
        if time.monotonic() > deadline:
            raise UserError(
                f"{owner.what}: a job of an earlier build still runs ({owner.where()}) and cannot be stopped from here;"
                " stop it, then run the same command again"
            )
        time.sleep(0.2)


def _slurm_lists(job: str) -> bool | None:
    """Whether SLURM has the job waiting or running; None where it cannot be asked."""
    try:
        done = subprocess.run(["squeue", "-h", "-j", job, "-o", "%T"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:
        return False if "Invalid job id" in done.stderr else None
    return bool(done.stdout.strip())
