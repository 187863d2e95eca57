"""What `envs/job` does: run one job's command in its environment, for Snakemake or for DVC.

Snakemake's main process wrote an order for the job (job_files.py), and records its outputs with DVC when it has ended.
DVC does its own recording: `dvc repro` sets DVC_STAGE and runs the same text. Typed by hand, it is `dvc repro STAGE`.
Only the standard library is imported at the top, because a Python without packages starts this.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from holdfast.build import dvc_file, job_files, job_output
from holdfast.build.ownership import BUILD, Build, running_job
from holdfast.common.errors import UserError
from holdfast.common.processes import end_with_parent

DURATIONS = Path(".holdfast/durations")
TAIL = 20  # lines of a failed job's log that are shown


def main(words: list[str]) -> int:
    """`STAGE --env envs/NAME.txt --log FILE -- COMMAND…` from either engine."""
    end_with_parent()
    head, command = words[: words.index("--")], words[words.index("--") + 1 :]
    stage, log = head[0], Path(head[head.index("--log") + 1])
    environment = Path(head[head.index("--env") + 1]).stem  # a name, or the path of its package list
    try:
        if "DVC_STAGE" in os.environ:
            build = Build(f"dvc repro ({stage})")
            try:
                check_dvc_file()
                return run(stage, environment, log, command)
            finally:
                build.end()
        if BUILD not in os.environ:
            os.execv("envs/in-env", ["envs/in-env", "core", "dvc", "repro", "--single-item", stage])
        job_output.capture(stage)
        with running_job(stage):
            return ordered(stage, words, environment, log, command)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def ordered(stage: str, words: list[str], environment: str, log: Path, command: list[str]) -> int:
    """Run the command, or restore the outputs of an equal earlier job, as the build ordered; then leave the result."""
    order = job_files.read_order(stage)
    if order is None or order.build != os.environ[BUILD] or order.words != words:
        raise UserError(
            f"{stage}: the Snakefile or params.yaml changed after the build was started; run the same command again"
        )
    params = {path: job_files.digest(text) for path, text in job_files.read_params(order.params).items()}
    if order.earlier is None:
        status = run(stage, environment, log, command)
    else:
        status = wait(["envs/in-env", "core", "python", "-m", "holdfast.build.restore", stage])
    if not status:
        job_files.write_result(stage, job_files.Result(order, params, job_files.states(order.outs)))
    return status


def check_dvc_file() -> None:
    """A job that `dvc repro` starts must be what the Snakefile says. Raises UserError after regenerating dvc.yaml."""
    if dvc_file.current():
        return
    environment = {key: value for key, value in os.environ.items() if key != "DVC_STAGE"}
    if subprocess.run(["envs/in-env", "core", "python", "-m", "holdfast.build.dvc_file"], env=environment).returncode:
        raise UserError("the job was not run")


def run(stage: str, environment: str, log: Path, command: list[str]) -> int:
    """Run the job's command in its environment, its standard error in `log`; after a failure show the log's end."""
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with log.open("wb") as errors:
        status = wait(["envs/in-env", environment, *command], stderr=errors)
    if not status:
        note_duration(stage, time.monotonic() - started)
    else:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        killed = "; killed, which happens when memory runs out" if status == 128 + signal.SIGKILL else ""
        print(f"{stage} failed (status {status}{killed}); the end of {log}:", *lines[-TAIL:], sep="\n", file=sys.stderr)
    return status


def wait(command: list[str], stderr: IO[bytes] | None = None) -> int:
    """Run a command that ends with this process; its exit status as a shell has it."""
    child = subprocess.Popen(command, stderr=stderr, preexec_fn=end_with_parent)
    for number in (signal.SIGTERM, signal.SIGINT):  # an interrupt reaches the child by itself: wait for it
        signal.signal(number, lambda got, _: child.terminate() if got == signal.SIGTERM else None)
    status = child.wait()
    return 128 - status if status < 0 else status


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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
