"""A process of a build or of a job, as other hosts know it: by name, and by the beat of its file."""

import contextlib
import json
import math
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

BEAT_S = 5.0
SILENT_S = 30.0  # without a beat for so long, a process on another host is taken for dead


@dataclass(frozen=True)
class Owner:
    """A process of a build or of a job."""

    what: str
    build: str
    host: str
    process: int
    started: str  # the process's start time, by which a later one with the same number is told apart
    slurm_job: str = ""

    @classmethod
    def this_process(cls, what: str, build: str) -> "Owner":
        pid = os.getpid()
        return cls(what, build, os.uname().nodename, pid, _start_time(pid), os.environ.get("SLURM_JOB_ID", ""))

    @classmethod
    def read(cls, text: bytes) -> "Owner | None":
        """None where the text is empty or torn."""
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError):
            return None

    def text(self) -> bytes:
        return json.dumps(self.__dict__).encode()

    def __str__(self) -> str:
        return f"{self.what}, {self.where()}"

    def where(self) -> str:
        job = f"SLURM job {self.slurm_job}, " if self.slurm_job else ""
        return f"{job}process {self.process} on {self.host}"

    def runs_here(self) -> bool:
        """Whether it is a living process of this host."""
        return self.host == os.uname().nodename and bool(self.started) and _start_time(self.process) == self.started


def _start_time(pid: int) -> str:
    """Of a living process, in the kernel's ticks since the boot; empty for a dead one or a zombie."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return ""
    return "" if state == "Z" else fields[18]


class Beat:
    """Renews a file's time stamp every BEAT_S seconds, in a thread of its own, and calls `each` when it does."""

    def __init__(self, path: Path, each: Callable[[], None] = lambda: None) -> None:
        self.path, self.each, self.ended = path, each, threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while not self.ended.wait(BEAT_S):
            with contextlib.suppress(OSError):
                os.utime(self.path)
            self.each()


def silent_s(path: Path) -> float:
    """Seconds since the file's last beat, both by the clock of the file system's server; infinite if it is gone."""
    probe = path.with_name(f".{path.name}.{os.uname().nodename}.{os.getpid()}")
    try:
        probe.touch()
        with path.open("rb") as file:  # opening has NFS ask its server
            return probe.stat().st_mtime - os.fstat(file.fileno()).st_mtime
    except FileNotFoundError:
        return math.inf
    finally:
        probe.unlink(missing_ok=True)
