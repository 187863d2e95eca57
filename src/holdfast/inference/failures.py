"""Rows without an answer, counted over all that a step asks."""

from collections import Counter

from holdfast.common.errors import UserError
from holdfast.inference.request import Answer


class Failures:
    """The failed rows of a step with one model, against `max_failed_share` of all `rows` of the step.

    A step that calls `ask` several times passes one object to all calls: the rows of a later call are few, and one
    failure among them is not a large share of the step.
    """

    def __init__(self, what: str, rows: int, max_failed_share: float) -> None:
        self.what, self.rows, self.max_failed_share = what, rows, max_failed_share
        self.answers: list[Answer] = []

    def add(self, failed: list[Answer]) -> None:
        """Count the failed rows of a finished call. Raises as `check`."""
        self.check(failed)
        self.answers += failed

    def check(self, failed: list[Answer]) -> None:
        """Raise UserError with the reasons when, with the `failed` rows of a call, more failed than are allowed."""
        all_failed = self.answers + failed
        if len(all_failed) > self.max_failed_share * self.rows:
            raise UserError(
                f"{self.what}: {len(all_failed):,} of {self.rows:,} rows failed, more than"
                f" max_failed_share ({self.max_failed_share:g}) allows: {evidence(all_failed)}. Finished rows are kept:"
                " fix the cause and run again"
            )


def evidence(failed: list[Answer]) -> str:
    """The reasons of failed rows, how often each occurs, and an example of each."""
    counts = Counter(answer.error for answer in failed)
    examples = {answer.error: answer.detail for answer in reversed(failed)}
    return "; ".join(f"{n:,} x {reason}, for example: {examples[reason]}" for reason, n in counts.most_common(5))
