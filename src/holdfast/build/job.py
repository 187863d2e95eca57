"""What `envs/job` does: both engines run every job through DVC, so that DVC's content hashes are the only truth.

Snakemake runs `envs/job STAGE …`, which has DVC reproduce that one stage; DVC runs the same text again, now with
DVC_STAGE set, and this time the job's command itself is run in its environment.
Only the standard library is imported at the top: the user's bare Python starts this.
"""

import contextlib
import fcntl
import io
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

from holdfast.build import graph
from holdfast.common.errors import UserError
from holdfast.common.processes import end_with_parent

BUILD_LOCK = Path(".holdfast/build.lock")


INSIDE = "HOLDFAST_INSIDE"  # set below a Snakemake job: its main process holds the build lock


DURATIONS = Path(".holdfast/durations")


TAIL = 20  # lines of a failed job's log that are shown


def main(words: list[str]) -> int:
    """`STAGE --env envs/NAME.txt --log FILE -- COMMAND…` from either engine; `--repro STAGE` in the core one."""
    end_with_parent()
    try:
        if words[:1] == ["--repro"]:
            return reproduce(words[1])
        head, command = words[: words.index("--")], words[words.index("--") + 1 :]
        stage, log = head[0], Path(head[head.index("--log") + 1])
        environment = Path(head[head.index("--env") + 1]).stem  # a name, or the path of its package list
        if "DVC_STAGE" not in os.environ:
            in_core("--repro", stage)
        with building(f"dvc repro ({stage})", shared=INSIDE in os.environ):
            check_dvc_file()
            return run(stage, environment, log, command)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def in_core(*words: str) -> NoReturn:
    """Become this module in the core environment."""
    os.execv("envs/in-env", ["envs/in-env", "core", "python", "-m", "holdfast.build.job", *words])


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


def check_dvc_file() -> None:
    """A job that `dvc repro` starts must be what the Snakefile says now. Raises UserError after renewing dvc.yaml."""
    if INSIDE in os.environ or graph.current():
        return
    environment = {key: value for key, value in os.environ.items() if key != "DVC_STAGE"}
    if subprocess.run(["envs/in-env", "core", "python", "-m", "holdfast.build.graph"], env=environment).returncode:
        raise UserError("nothing was run")


def run(stage: str, environment: str, log: Path, command: list[str]) -> int:
    """Run the job's command in its environment, its standard error in `log`; after a failure show the log's end."""
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with log.open("wb") as errors:
        child = subprocess.Popen(["envs/in-env", environment, *command], stderr=errors, preexec_fn=end_with_parent)
        for number in (signal.SIGTERM, signal.SIGINT):  # an interrupt reaches the child by itself: wait for it
            signal.signal(number, lambda got, _: child.terminate() if got == signal.SIGTERM else None)
        status = child.wait()
    if not status:
        note_duration(stage, time.monotonic() - started)
    else:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        print(f"{stage} failed (status {status}); the end of {log}:", *lines[-TAIL:], sep="\n", file=sys.stderr)
    return 128 - status if status < 0 else status


def reproduce(stage: str) -> int:
    """Have DVC make the stage's outputs: kept or restored where nothing changed, built where something did."""
    from holdfast.build.staleness import load_stages

    os.environ[INSIDE] = "1"
    signal.signal(signal.SIGTERM, leave)
    with building(stage, shared=True):
        # Snakemake has removed the outputs: where nothing else changed, they come from the cache, if they are there
        failed = dvc("repro", "--single-item", "--allow-missing", stage)
        if not failed and (dvc("checkout", "--force", stage) or remove_dangling(load_stages()[stage]["outs"])):
            failed = dvc("repro", "--single-item", stage)
        return failed


def remove_dangling(outs: Iterable[str]) -> int:
    """Remove links to nothing from a stage's outputs; how many there were.

    With symbolic links DVC checks out what its cache lacks all the same, and then cannot read it.
    """
    found = [path for out in map(Path, outs) for path in (out, *(out.rglob("*") if out.is_dir() else ()))]
    dangling = [path for path in found if path.is_symlink() and not path.exists()]
    for path in dangling:
        path.unlink()
    return len(dangling)


def leave(number: int, _frame: FrameType | None) -> NoReturn:
    """Exit on a signal, so that DVC releases its lock on the outputs; a repetition (one for each thread of a killed
    Snakemake) must not break that off."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


def note_duration(stage: str, seconds: float) -> None:
    """Remember how long a stage took, for `holdfast plan`."""
    DURATIONS.mkdir(parents=True, exist_ok=True)
    (DURATIONS / stage).write_text(f"{seconds:.1f}\n")


def last_duration_s(stage: str) -> float | None:
    """How long the stage took when it last ran here."""
    try:
        return float((DURATIONS / stage).read_text())
    except (OSError, ValueError):
        return None


def dvc(command: str, *words: str) -> int:
    """DVC's exit status, run in this process (a fresh start would cost half a second)."""
    from dvc.cli import main as dvc_main

    logging.disable(logging.INFO)  # faults only; what the job itself prints is not touched by either of these
    with contextlib.redirect_stdout(io.StringIO()):
        return dvc_main(["--wait-for-lock", command, *words])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
