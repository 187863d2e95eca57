"""The jobs of a running build, and the table that shows them."""

import re
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from holdfast.build import job_output
from holdfast.build.job import last_ran_ns
from holdfast.common.wording import counted, duration

STYLES = {"done": "green", "reused": "cyan", "failed": "bold red", "running": "yellow", "waiting": "dim"}
_STAGE = re.compile(r"\benvs/job (\S+)")


def stage_of(shell: str | None) -> str:
    """The DVC stage of a job with this shell command; empty for a job that has none."""
    found = _STAGE.search(shell or "")
    return found[1] if found else ""


@dataclass
class RunningJob:
    """A job that Snakemake started or submitted. Its name is that of its DVC stage."""

    name: str
    rule: str
    logs: list[str]
    began: float = field(default_factory=time.monotonic)
    ran_before_ns: int = 0

    @classmethod
    def of(cls, record: Any) -> "RunningJob | None":
        """The job of a log event; None for a target such as `all`, which has nothing to do."""
        if record.shellcmd is None and not record.output:
            return None
        stage = stage_of(record.shellcmd)
        name = stage or "-".join([record.rule_name, *getattr(record, "wildcards", {}).values()])
        return cls(name, record.rule_name, list(record.log), ran_before_ns=last_ran_ns(name) if stage else -1)

    def was_reused(self) -> bool:
        """Did DVC find the outputs of the ended job unchanged or in its cache, so that its command did not run?"""
        return self.ran_before_ns == last_ran_ns(self.name)

    def seconds(self) -> float:
        return time.monotonic() - self.began

    def log_tail(self, lines: int) -> list[str]:
        """The last lines of the job's log files, each after the file's name."""
        said = []
        for log in filter(lambda log: Path(log).is_file(), self.logs):
            text = Path(log).read_text(encoding="utf-8", errors="replace").splitlines()
            said += [f"the end of {log}:", *text[-lines:]] if text else []
        return said


class Jobs:
    """All jobs of a build: how many wait, which run, how many ended in which way."""

    def __init__(self) -> None:
        self.targets: set[str] = set()  # rules without an output, such as `all`: their jobs have nothing to do
        self.waiting: Counter[str] = Counter()
        self.running: dict[int, RunningJob] = {}
        self.ended: Counter[str] = Counter()
        self.total = 0
        self.began = time.monotonic()

    def expect(self, stats: dict[str, int]) -> None:
        """Snakemake's numbers of jobs by rule, before the first one starts."""
        self.waiting = Counter({rule: n for rule, n in stats.items() if rule not in self.targets | {"total"}})
        self.total = self.waiting.total()

    def start(self, number: int, job: RunningJob) -> None:
        self.running[number] = job
        self.waiting[job.rule] = max(self.waiting[job.rule] - 1, 0)  # a job that is tried again waited before

    def end(self, number: int, state: str) -> RunningJob | None:
        """Take a job out of the running ones, as ended in this state; None for a target."""
        job = self.running.pop(number, None)
        if job is not None:
            self.ended[state] += 1
        return job

    def counts(self, waiting: str = "waiting") -> str:
        """All jobs by state, such as "3 of 9 jobs done, 1 reused, 2 running, 3 waiting"."""
        numbers = [
            (self.ended["reused"], "reused"),
            (self.ended["failed"], "failed"),
            (self.ended["stopped"], "stopped"),
            (len(self.running), "running"),
            (self.waiting.total(), waiting),
        ]
        done = f"{self.ended['done']} of {counted(self.total, 'job')} done"
        return ", ".join([done, *(f"{number} {state}" for number, state in numbers if number)])

    def took(self) -> str:
        return duration(time.monotonic() - self.began)


class VisibleCursor(Console):
    """Leaves the cursor alone: hidden, it would stay so after a `kill -9`."""

    def show_cursor(self, show: bool = True) -> bool:
        return False


class JobTable:
    """One row for each running job, the waiting ones by rule, and the totals; drawn below the lines of ended jobs."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        grid = Table.grid(padding=(0, 1), expand=True)
        for settings in ({}, {"overflow": "ellipsis", "max_width": 24}, {"justify": "right"}, {"ratio": 1}):
            grid.add_column(no_wrap=True, **settings)  # type: ignore[arg-type]
        running = list(self.jobs.running.values())  # drawn in a thread of its own
        room = max(options.size.height - 4, 1)
        for job in running[:room]:
            state, status = Text("running", STYLES["running"]), Text(job_output.status(job.name), overflow="ellipsis")
            grid.add_row(state, Text(job.name), duration(job.seconds()), status)
        if len(running) > room:
            grid.add_row("", Text(f"and {len(running) - room} more"))
        yield grid
        rules = [rule if n == 1 else f"{rule} ×{n}" for rule, n in list(self.jobs.waiting.items()) if n > 0]
        if rules:
            yield Text(f"waiting {', '.join(rules)}", STYLES["waiting"], no_wrap=True, overflow="ellipsis")
        yield Text(f"{self.jobs.counts()}, {self.jobs.took()}", "bold", no_wrap=True, overflow="ellipsis")
