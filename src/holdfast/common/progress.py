"""Progress for people: one line on standard output every ten seconds."""

import time

from holdfast.common.wording import duration

INTERVAL_S = 10.0


class Progress:
    """Counts rows of one job and says how far it is; speed is over the rows that were really asked."""

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total = what, total
        self.reused = self.asked = 0
        self.seconds = 0.0  # that the rows asked took, known when finished
        self._begun = self._said = time.monotonic()

    def started(self) -> None:
        """The engine is ready: time counts from here."""
        self._begun = self._said = time.monotonic()

    def add(self, reused: int = 0, asked: int = 0) -> None:
        """Count finished rows, and say so if it is time."""
        self.reused += reused
        self.asked += asked
        if time.monotonic() - self._said >= INTERVAL_S:
            self._said = time.monotonic()
            rate = self.asked / (self._said - self._begun)
            done = self.reused + self.asked
            left = f", {duration(max(self.total - done, 0) / rate)} left" if rate else ""
            print(f"{self.what}: {done}/{self.total} rows, {rate:.3g} rows/s{left}", flush=True)

    def finished(self) -> None:
        """Say what was done."""
        self.seconds = time.monotonic() - self._begun
        asked = f"{self.asked} asked in {duration(self.seconds)}" if self.asked else "none asked"
        print(f"{self.what}: {self.reused + self.asked} rows done, {self.reused} reused, {asked}", flush=True)
