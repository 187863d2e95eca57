"""Any OpenAI-compatible endpoint: concurrent, patient with it, within rates and a budget."""

import asyncio
import os
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from holdfast.common.errors import UserError
from holdfast.inference.engines.openai_api import (
    Hopeless,
    Refused,
    Unusable,
    body_of,
    prompt_estimate,
    read_answer,
    read_json,
)
from holdfast.inference.params import Model, endpoint_faults
from holdfast.inference.request import Answer, Request

TRIES = 8  # of one request, first one included


BACKOFF_S, BACKOFF_CAP_S = 0.5, 60.0


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


class OpenAIEngine:
    """Requests in flight to one endpoint; see `holdfast.engines.Engine`."""

    def __init__(self, name: str, model: Model) -> None:
        if faults := endpoint_faults(name, model):
            raise UserError("\n".join(f"params.yaml: {fault}" for fault in faults))
        self.name, self.model = name, model
        self.key = os.environ.get(model.api_key_env, "").strip() if model.api_key_env else ""
        if model.api_key_env and not self.key:
            raise UserError(f"model {name}: the environment variable {model.api_key_env} holds no API key; export it")
        if not (self.key.isascii() and self.key.isprintable()):  # a header cannot carry it
            raise UserError(
                f"model {name}: the key in the environment variable {model.api_key_env} holds characters other than"
                " printable ASCII; export it again, on one line"
            )
        self.requests_pace = Pace(model.requests_per_minute)
        self.tokens_pace = Pace(model.tokens_per_minute)
        self.reserved = 0.0
        self.answered = False  # the endpoint has given one good answer
        self.running: set[asyncio.Task[Answer]] = set()
        self.loop = asyncio.new_event_loop()
        self.client = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {self.key}"} if self.key else {},
            timeout=httpx.Timeout(model.timeout_s, connect=min(model.timeout_s, 15.0)),
            limits=httpx.Limits(max_connections=model.concurrency, max_keepalive_connections=model.concurrency),
        )

    def close(self) -> None:
        """Drop what is in flight."""
        for task in self.running:
            task.cancel()
        self.loop.run_until_complete(_settled(self.running))
        self.loop.run_until_complete(self.client.aclose())
        self.loop.close()

    def answers(self, requests: Iterator[tuple[bytes, Request]]) -> Iterator[list[Answer]]:
        """See `holdfast.engines.Engine`. At the spending cap, waits for what is in flight and raises UserError."""
        exhausted = capped = False
        while True:
            while not exhausted and not capped and len(self.running) < self.model.concurrency:
                item = next(requests, None)
                if item is None:
                    exhausted = True
                elif self._reserve(item[1]):
                    self.running.add(self.loop.create_task(self._ask(*item)))
                else:
                    capped = True
            if not self.running:
                break
            waiting = asyncio.wait(self.running, return_when=asyncio.FIRST_COMPLETED)
            done, self.running = self.loop.run_until_complete(waiting)
            yield [task.result() for task in done if not task.exception()]
            for task in done:
                task.result()  # raises what no other request would survive either
        if capped:
            raise UserError(
                f"model {self.name}: spending_cap ({self.model.spending_cap:g}) reached: {SPENT[self.name]:.4g} spent "
                "in this job; finished rows are kept: raise the cap, or run again, which may spend as much again"
            )

    def _reserve(self, request: Request) -> bool:
        """Set aside what `request` may cost at most; False when that would pass the cap."""
        most = self._most(request)
        if self.model.spending_cap and SPENT[self.name] + self.reserved + most > self.model.spending_cap:
            return False
        self.reserved += most
        return True

    def _most(self, request: Request) -> float:
        return self._cost(prompt_estimate(request), request.sampling.max_tokens)

    def _cost(self, prompt_tokens: int, output_tokens: int) -> float:
        rates = self.model.rates
        money = prompt_tokens * rates.input_per_million_tokens + output_tokens * rates.output_per_million_tokens
        return money / 1e6

    async def _ask(self, key: bytes, request: Request) -> Answer:
        begun = time.monotonic()
        chance = random.Random(request.seed)
        estimate = prompt_estimate(request) + request.sampling.max_tokens
        fault, detail = "unreachable", ""
        try:
            for attempt in range(TRIES):
                await self.requests_pace.wait(1)
                await self.tokens_pace.wait(estimate)
                wait_s, used = 0.0, 0
                try:
                    path, body = body_of(self.model, request)
                    reply = await self.client.post(f"{(self.model.url or '').rstrip('/')}/{path}", json=body)
                    answer = read_answer(key, request, read_json(reply), begun)
                except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
                    why = f"{self.model.url} is no address to ask: {self._redact(str(error))}"
                    raise UserError(f"model {self.name}: {why}; correct models.{self.name}.url") from None
                except httpx.TransportError as error:
                    fault, detail = "unreachable", f"{type(error).__name__} {error}".strip()
                except httpx.RequestError as error:  # a body that is not what its headers say
                    fault, detail = "unusable_answer", f"{type(error).__name__} {error}".strip()
                except Hopeless as error:
                    what = f"model {self.name}: {self.model.url} refuses us: {self._redact(str(error))}"
                    where = self.model.api_key_env or f"models.{self.name}.api_key_env"
                    raise UserError(f"{what}; check {where}, url and path") from None
                except Unusable as error:
                    fault, detail = "unusable_answer", str(error)
                except Refused as error:
                    fault, detail, wait_s = error.reason, error.detail, error.wait_s
                    if not error.again:
                        break
                else:
                    used = answer.prompt_tokens + answer.output_tokens
                    SPENT[self.name] += self._cost(answer.prompt_tokens, answer.output_tokens)
                    self.answered = True
                    return answer
                finally:
                    self.tokens_pace.settle(estimate, used)
                if attempt < TRIES - 1:  # full jitter: uniform up to a doubling bound
                    wait_s += chance.uniform(0, min(BACKOFF_CAP_S, BACKOFF_S * 2**attempt))
                    await asyncio.sleep(wait_s)
            if fault == "unreachable" and not self.answered:
                what = f"model {self.name}: {self.model.url} does not answer: {self._redact(detail)}"
                raise UserError(f"{what}; is it running, is the url right?")
            return Answer(key, time_s=round(time.monotonic() - begun, 6), error=fault, detail=self._redact(detail))
        finally:
            self.reserved -= self._most(request)

    def _redact(self, text: str) -> str:
        return text.replace(self.key, "[key]") if self.key else text


async def _settled(tasks: set[asyncio.Task[Answer]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def endpoint(name: str, model: Model) -> Iterator[OpenAIEngine]:
    """An endpoint to ask. Raises UserError when its settings are incomplete or the key is not in the environment."""
    engine = OpenAIEngine(name, model)
    try:
        yield engine
    finally:
        engine.close()
