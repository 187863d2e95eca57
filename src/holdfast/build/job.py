"""What `envs/job` does: both engines run every job through DVC, so that DVC's content hashes are the only truth.

Snakemake runs `envs/job STAGE …`, which has DVC reproduce that one stage; DVC runs the same text again, now with
DVC_STAGE set, and this time the job's command itself is run in its environment.
Only the standard library is imported at the top, because a Python without packages starts this.
"""

import contextlib
import io
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

from holdfast.build import dvc_file, job_output
from holdfast.build.lock import building
from holdfast.build.stages import load_stages, remove_dangling
from holdfast.common.errors import UserError
from holdfast.common.processes import end_with_parent

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
            job_output.capture(stage)
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


def check_dvc_file() -> None:
    """A job that `dvc repro` starts must be what the Snakefile says. Raises UserError after regenerating dvc.yaml."""
    if INSIDE in os.environ or dvc_file.current():
        return
    environment = {key: value for key, value in os.environ.items() if key != "DVC_STAGE"}
    if subprocess.run(["envs/in-env", "core", "python", "-m", "holdfast.build.dvc_file"], env=environment).returncode:
        raise UserError("the job was not run")


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
    os.environ[INSIDE] = "1"
    os.environ["SHELL"] = "/bin/sh"  # what DVC runs the command with; the user's own may be none, such as nologin
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, leave)
    with building(stage, shared=True):
        # Snakemake has removed the outputs: where nothing else changed, they come from the cache, if they are there
        failed = dvc("repro", "--single-item", "--allow-missing", stage)
        if not failed and (dvc("checkout", "--force", stage) or remove_dangling(load_stages()[stage]["outs"])):
            failed = dvc("repro", "--single-item", stage)
        return failed


def leave(number: int, _frame: FrameType | None) -> NoReturn:
    """Exit on a signal, so that DVC releases its lock on the outputs; a repetition (one for each thread of a killed
    Snakemake, and a hang-up as well if it had a terminal) must not break that off."""
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
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


def last_ran_ns(stage: str) -> int:
    """When the stage's command last ended here without a failure (ns since 1970), 0 if never."""
    try:
        return (DURATIONS / stage).stat().st_mtime_ns
    except OSError:
        return 0


def dvc(command: str, *words: str) -> int:
    """DVC's exit status, run in this process (a fresh start would cost half a second)."""
    from dvc.cli import main as dvc_main

    logging.disable(logging.INFO)  # errors only; the job's own output is not affected
    with contextlib.redirect_stdout(io.StringIO()):
        return dvc_main(["--wait-for-lock", command, *words])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
