"""Limits of a job's requests to an endpoint: rate and spending cap."""

import asyncio
import time
from collections import defaultdict

from holdfast.inference.params import Model
from holdfast.inference.request import Request
from holdfast.inference.token_estimate import prompt_tokens

SPENT: defaultdict[str, float] = defaultdict(float)  # money by model's name, of this process: a job may ask repeatedly


class Pace:
    """Spreads a cost per minute evenly: `wait` returns when the next cost may be spent."""

    def __init__(self, per_minute: float | None) -> None:
        self.seconds_each = 60 / per_minute if per_minute else 0.0
        self.free_at = 0.0

    async def wait(self, cost: float) -> None:
        """Sleep until what was spent before has been paid off, then book `cost`."""
        if self.seconds_each:
            now = time.monotonic()
            begin = max(now, self.free_at)
            self.free_at = begin + cost * self.seconds_each
            await asyncio.sleep(begin - now)

    def settle(self, booked: float, actual: float) -> None:
        """Correct an estimate."""
        self.free_at += (actual - booked) * self.seconds_each


class Budget:
    """The spending cap of a job: what the endpoint reported, and what the requests in flight may cost at most.

    Where the endpoint reports more tokens than were estimated, all later estimates are raised by the largest such
    ratio, so that the cap holds for tokenizers that need more tokens too.
    """

    def __init__(self, name: str, model: Model) -> None:
        self.name, self.rates, self.cap = name, model.rates, model.spending_cap
        self.reserved = 0.0
        self.prompt_ratio = self.output_ratio = 1.0  # reported to estimated tokens

    def reserve(self, request: Request) -> float | None:
        """Set aside what `request` may cost at most, and return it; None when that would pass the cap."""
        prompt, output = self.prompt_ratio * prompt_tokens(request), self.output_ratio * request.sampling.max_tokens
        most = self.rates.cost(prompt, output)
        if self.cap and SPENT[self.name] + self.reserved + most > self.cap:
            return None
        self.reserved += most
        return most

    def spend(self, request: Request, prompt: int, output: int) -> None:
        """Count the tokens that the endpoint reported for one try at `request`."""
        SPENT[self.name] += self.rates.cost(prompt, output)
        self.prompt_ratio = max(self.prompt_ratio, prompt / max(prompt_tokens(request), 1))
        self.output_ratio = max(self.output_ratio, output / request.sampling.max_tokens)

    def reached(self) -> str:
        """The message when nothing more may be asked."""
        return (
            f"model {self.name}: spending_cap reached: this job has spent {SPENT[self.name]:,.2f} of {self.cap:,.2f}"
            f" {self.rates.currency}. Finished rows are kept; raise models.{self.name}.spending_cap, or run again:"
            " the cap is for each run"
        )
