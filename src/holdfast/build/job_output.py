"""What a job prints while Snakemake's terminal is in charge: kept in a file of its own, read by the terminal."""

import os
import re
from pathlib import Path

from holdfast.common.progress import OUTPUT, is_transient, short_progress

FOLDER = Path(".holdfast/output")
_TAIL_BYTES = 4096  # read of a running job's output
# DVC's: of a failed job its whole command, after the job's own message; of an empty output, which is no fault
_NOISE = re.compile(r"ERROR: failed to reproduce |WARNING: '[^']*' is empty\.$")


def capture(stage: str) -> None:
    """Send this process's output, and that of all it starts, to the stage's file, if a build asks for that."""
    if OUTPUT not in os.environ:
        return
    path = Path(os.environ[OUTPUT], stage)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


def clear(stage: str) -> None:
    """Remove what an earlier run of the job printed."""
    (FOLDER / stage).unlink(missing_ok=True)


def status(stage: str) -> str:
    """The last line that the running job printed, shortened for a table; empty when there is none yet."""
    try:
        with (FOLDER / stage).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = file.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    last = next((line for line in reversed(lines) if line.strip()), "")
    return short_progress(last) or without_name(last, stage)


def messages(stage: str) -> list[str]:
    """What the ended job printed, without its progress."""
    try:
        lines = (FOLDER / stage).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if line.strip() and not is_transient(line) and not _NOISE.match(line)]


def without_name(line: str, stage: str) -> str:
    """The line without "generate base: " before it, where the stage is generate-base."""
    name, colon, text = line.partition(": ")
    words = name.split()
    return text if colon and 1 <= len(words) <= 2 and stage.startswith(words[0]) else line
