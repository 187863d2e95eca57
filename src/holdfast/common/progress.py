"""Progress of a job for people: lines on its standard output, which the terminal of a Snakemake build reads."""

import os
import re
import time

from holdfast.common.wording import counted, duration

OUTPUT = "HOLDFAST_OUTPUT"  # set by a build that shows progress itself: the folder of the files with what jobs print
INTERVAL_S = 1.0 if OUTPUT in os.environ else 10.0
_PROGRESS = re.compile(r"(?:[^:]*: )?([\d,]+)/([\d,]+) \w+(.*)")


def progress_line(what: str, done: int, total: int, unit: str, per_s: float, *details: str) -> str:
    """The line for `done` of `total`, with rate and time left once `per_s` is known: "WHAT: 5/9 rows, 2 rows/s, …"."""
    parts = [f"{what}: {done:,}/{total:,} {unit}"]
    if per_s > 0:
        rate = f"{per_s:,.0f}" if per_s >= 10 else f"{per_s:.2g}"
        parts += [f"{rate} {unit}/s", f"{duration(max(total - done, 0) / per_s)} left"]
    return ", ".join([*parts, *details])


def short_progress(line: str) -> str | None:
    """A progress line with what matters most first, for a narrow column: "24 %, 35 s left, 1,200/5,000 rows, …".

    None for any other line. Lines of jobs that count for themselves are understood too, if they have this form.
    """
    found = _PROGRESS.fullmatch(line)
    if not found:
        return None
    done, total = (int(number.replace(",", "") or 0) for number in found.groups()[:2])
    parts = line[found.start(1) :].split(", ")
    left = [part for part in parts if part.endswith(" left")]
    percent = [f"{100 * done // total} %"] if total else []
    return ", ".join([*percent, *left, *(part for part in parts if part not in left)])


def is_transient(line: str) -> bool:
    """Does a line of a job's output say how things stand (progress, "starting …"), rather than what came out?"""
    return (line.endswith(" …") and line.count(": ") <= 1) or short_progress(line) is not None


class Progress:
    """Counts the rows of one job and prints its progress. The rate is that of rows which the model answered."""

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total = what, total
        self.reused = self.asked = 0
        self.seconds = 0.0  # that the model's answers took, known when finished
        self._begun = self._said = time.monotonic()

    def started(self) -> None:
        """The engine is ready: time counts from here."""
        self._begun = self._said = time.monotonic()

    def add(self, reused: int = 0, asked: int = 0) -> None:
        """Count finished rows, and print the progress if it is time."""
        self.reused += reused
        self.asked += asked
        if time.monotonic() - self._said >= INTERVAL_S:
            self._said = time.monotonic()
            rate = self.asked / (self._said - self._begun)
            print(progress_line(self.what, self.reused + self.asked, self.total, "rows", rate), flush=True)

    def finished(self) -> None:
        """Print what was done."""
        self.seconds = time.monotonic() - self._begun
        asked = f"{self.asked:,} asked in {duration(self.seconds)}" if self.asked else "none asked"
        done = counted(self.reused + self.asked, "row")
        print(f"{self.what}: {done} done, {self.reused:,} reused, {asked}", flush=True)
