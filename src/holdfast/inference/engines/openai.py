"""Any OpenAI-compatible endpoint: concurrent, with bounded retries, within its rate limits and a spending cap."""

import asyncio
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import aiohttp

from holdfast.common.errors import UserError
from holdfast.inference.engines.openai_api import (
    Refused,
    SetupFault,
    Unusable,
    body_of,
    explain_setup,
    harmless,
    read_answer,
    read_json,
    usage_of,
)
from holdfast.inference.engines.openai_limits import SPENT, Budget, Pace
from holdfast.inference.engines.openai_session import address, request_settings, session
from holdfast.inference.params import Model, endpoint_faults
from holdfast.inference.request import Answer, Request
from holdfast.inference.token_estimate import prompt_tokens

__all__ = ["SPENT", "OpenAIEngine", "start"]


TRIES = 8  # of one request, first one included


BACKOFF_S, BACKOFF_CAP_S = 0.5, 60.0


class Fault(NamedTuple):
    """Why a try at a request failed; `again` if another try may succeed, after `wait_s`."""

    reason: str
    detail: str
    again: bool = True
    wait_s: float = 0.0


class OpenAIEngine:
    """Requests in flight to one endpoint; see `holdfast.inference.engines.Engine`."""

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
        self.settings = request_settings(address(name, model), self.key)
        self.requests_pace = Pace(model.requests_per_minute)
        self.tokens_pace = Pace(model.tokens_per_minute)
        self.budget = Budget(name, model)
        self.answered = False  # the endpoint has answered one request in this job
        self.testing = asyncio.Lock()
        self.refused = False  # the test request too; the job is about to end
        self.running: set[asyncio.Task[Answer]] = set()
        self.loop = asyncio.new_event_loop()
        self.session = self.loop.run_until_complete(session(model))

    def close(self) -> None:
        """Drop what is in flight."""
        for task in self.running:
            task.cancel()
        self.loop.run_until_complete(_settled(self.running))
        self.loop.run_until_complete(self.session.close())
        self.loop.close()

    def answers(self, requests: Iterator[tuple[bytes, Request]]) -> Iterator[list[Answer]]:
        """See `holdfast.inference.engines.Engine`. At the spending cap, raises UserError when all in flight is done."""
        waiting = next(requests, None)
        while waiting or self.running:
            while waiting and len(self.running) < self.model.concurrency:
                reserved = self.budget.reserve(waiting[1])
                if reserved is None:  # what is in flight may cost less than was set aside for it
                    break
                self.running.add(self.loop.create_task(self._ask(*waiting, reserved)))
                waiting = next(requests, None)
            if not self.running:
                raise UserError(self.budget.reached())
            some = asyncio.wait(self.running, return_when=asyncio.FIRST_COMPLETED)
            done, self.running = self.loop.run_until_complete(some)
            yield [task.result() for task in done if not task.exception()]
            for task in done:
                task.result()  # raises what ends the job

    async def _ask(self, key: bytes, request: Request, reserved: float, test: bool = False) -> Answer:
        """The answer, with an `error` when the request failed for good.

        Raises UserError when the endpoint cannot be used: it says so, or it has answered nothing yet and does not
        answer a harmless request either. `test`: `request` is that harmless one.
        """
        begun = time.monotonic()
        chance = random.Random(request.seed)
        fault = Fault("unreachable", "")
        try:
            for attempt in range(TRIES):
                try:
                    found = await self._try(key, request, begun)
                except SetupFault as error:
                    if error.for_all or test or not await self._usable(request):
                        raise UserError(self._redact(explain_setup(self.name, self.model, error))) from None
                    found = Fault(error.reason, str(error), again=False)
                if isinstance(found, Answer):
                    return found
                fault = found
                if not fault.again:
                    break
                if attempt < TRIES - 1:  # full jitter: uniform up to a doubling bound
                    wait_s = fault.wait_s + chance.uniform(0, min(BACKOFF_CAP_S, BACKOFF_S * 2**attempt))
                    await asyncio.sleep(wait_s)
            detail = self._redact(fault.detail)
            if fault.reason == "unreachable" and (test or not await self._usable(request)):
                raise UserError(
                    f"model {self.name}: {self.model.url} cannot be reached: {detail}; check that the server is"
                    f" running, and models.{self.name}.url"
                )
            return Answer(key, time_s=round(time.monotonic() - begun, 6), error=fault.reason, detail=detail)
        finally:
            self.budget.reserved -= reserved

    async def _try(self, key: bytes, request: Request, begun: float) -> Answer | Fault:
        """One try at a request. Raises SetupFault."""
        estimate, used = prompt_tokens(request) + request.sampling.max_tokens, 0
        await self.requests_pace.wait(1)
        await self.tokens_pace.wait(estimate)
        try:
            path, body = body_of(self.model, request)
            url = f"{(self.model.url or '').rstrip('/')}/{path}"
            async with self.session.post(url, json=body, allow_redirects=False, **self.settings) as response:
                reply = read_json(response.status, response.headers, await response.read())
            if usage := usage_of(reply):  # paid for, whatever else the reply holds
                used = sum(usage)
                self.budget.spend(request, *usage)
            answer = read_answer(key, request, reply, begun)
        except aiohttp.ClientPayloadError as error:  # a body that is not what its headers say
            return Fault("unusable_answer", f"{type(error).__name__} {error}".strip())
        except aiohttp.ClientError as error:
            return Fault("unreachable", f"{type(error).__name__} {error}".strip())
        except TimeoutError:
            return Fault("unreachable", f"no answer within timeout_s ({self.model.timeout_s:g})")
        except Unusable as error:
            return Fault("unusable_answer", str(error))
        except Refused as error:
            self.answered |= error.finished
            return Fault(error.reason, error.detail, error.again, error.wait_s)
        finally:
            self.tokens_pace.settle(estimate, used)
        self.answered = True
        return answer

    async def _usable(self, request: Request) -> bool:
        """Whether the endpoint answers at all: if it has answered nothing in this job, it is sent a harmless request.

        So a request that is refused for its content ends the job neither when it is the first, nor when it is the only
        one that an earlier run left.
        """
        async with self.testing:
            if self.answered or self.refused:
                return self.answered
            test = harmless(request)
            reserved = self.budget.reserve(test)
            if reserved is None:
                raise UserError(self.budget.reached())
            try:
                await self._ask(b"", test, reserved, test=True)
            except UserError:
                self.refused = True
            return self.answered

    def _redact(self, text: str) -> str:
        return text.replace(self.key, "[key]") if self.key else text


async def _settled(tasks: set[asyncio.Task[Answer]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def start(name: str, model: Model) -> Iterator[OpenAIEngine]:
    """An endpoint to ask. Raises UserError when its settings are incomplete or the key is not in the environment."""
    engine = OpenAIEngine(name, model)
    try:
        yield engine
    finally:
        engine.close()
