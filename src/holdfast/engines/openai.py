"""Any OpenAI-compatible endpoint: concurrent, patient with it, within rates and a budget."""

import asyncio
import math
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from holdfast.errors import UserError
from holdfast.params.models import Model
from holdfast.request import Answer, Request

TRIES = 8  # of one request, first one included
BACKOFF_S, BACKOFF_CAP_S = 0.5, 60.0
RETRIED = frozenset({408, 409, 425, 429})  # and 500 to 599
TOO_LONG = ("context length", "context_length", "maximum context", "max_model_len", "too many tokens", "too long")


class Unusable(Exception):
    """The endpoint answered with something that is no answer; worth another try."""


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
        if not model.url:
            raise UserError(f"params.yaml: models.{name}.url is missing: the endpoint's address, ending in /v1")
        if model.spending_cap and not (model.rates.input_per_million_tokens or model.rates.output_per_million_tokens):
            raise UserError(f"params.yaml: models.{name}.spending_cap needs models.{name}.rates to count money by")
        self.name, self.model = name, model
        self.key = os.environ.get(model.api_key_env, "") if model.api_key_env else ""
        if model.api_key_env and not self.key:
            raise UserError(f"model {name}: the environment variable {model.api_key_env} holds no API key; export it")
        self.requests_pace = Pace(model.requests_per_minute)
        self.tokens_pace = Pace(model.tokens_per_minute)
        self.spent = self.reserved = 0.0
        self.answered = False  # the endpoint has given one good answer
        self.loop = asyncio.new_event_loop()
        self.client = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {self.key}"} if self.key else {},
            timeout=httpx.Timeout(model.timeout_s, connect=min(model.timeout_s, 15.0)),
            limits=httpx.Limits(max_connections=model.concurrency, max_keepalive_connections=model.concurrency),
        )

    def close(self) -> None:
        """Drop what is in flight."""
        left = asyncio.all_tasks(self.loop)
        for task in left:
            task.cancel()
        if left:
            self.loop.run_until_complete(asyncio.wait(left))
        self.loop.run_until_complete(self.client.aclose())
        self.loop.close()

    def answers(self, requests: Iterator[tuple[bytes, Request]]) -> Iterator[list[Answer]]:
        """See `holdfast.engines.Engine`. At the spending cap, waits for what is in flight and raises UserError."""
        running: set[asyncio.Task[Answer]] = set()
        exhausted = capped = False
        while True:
            while not exhausted and not capped and len(running) < self.model.concurrency:
                item = next(requests, None)
                if item is None:
                    exhausted = True
                elif self._reserve(item[1]):
                    running.add(self.loop.create_task(self._ask(*item)))
                else:
                    capped = True
            if not running:
                break
            done, running = self.loop.run_until_complete(asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED))
            yield [task.result() for task in done if not task.exception()]
            for task in done:
                task.result()  # raises what no other request would survive either
        if capped:
            raise UserError(
                f"model {self.name}: spending_cap ({self.model.spending_cap:g}) reached: {self.spent:.4g} spent in "
                "this run; finished rows are kept: raise the cap, or run again for another run's worth"
            )

    def _reserve(self, request: Request) -> bool:
        """Set aside what `request` may cost at most; False when that would pass the cap."""
        most = self._most(request)
        if self.model.spending_cap and self.spent + self.reserved + most > self.model.spending_cap:
            return False
        self.reserved += most
        return True

    def _most(self, request: Request) -> float:
        return self._cost(_prompt_estimate(request), request.sampling.max_tokens)

    def _cost(self, prompt_tokens: int, output_tokens: int) -> float:
        rates = self.model.rates
        money = prompt_tokens * rates.input_per_million_tokens + output_tokens * rates.output_per_million_tokens
        return money / 1e6

    async def _ask(self, key: bytes, request: Request) -> Answer:
        begun = time.monotonic()
        chance = random.Random(request.seed)
        estimate = _prompt_estimate(request) + request.sampling.max_tokens
        fault, detail = "unreachable", ""
        try:
            for attempt in range(TRIES):
                await self.requests_pace.wait(1)
                await self.tokens_pace.wait(estimate)
                wait_s, used = 0.0, 0
                try:
                    reply = await self._post(request)
                    answer = self._read(key, request, reply, begun)
                except httpx.TransportError as error:
                    fault, detail = "unreachable", f"{type(error).__name__} {error}".strip()
                except Unusable as error:
                    fault, detail = "unusable_answer", str(error)
                except Refused as error:
                    fault, detail, wait_s = error.reason, error.detail, error.wait_s
                    if not error.again:
                        break
                else:
                    used = answer.prompt_tokens + answer.output_tokens
                    self.spent += self._cost(answer.prompt_tokens, answer.output_tokens)
                    self.answered = True
                    return answer
                finally:
                    self.tokens_pace.settle(estimate, used)
                if attempt < TRIES - 1:  # full jitter: uniform up to a doubling bound
                    wait_s += chance.uniform(0, min(BACKOFF_CAP_S, BACKOFF_S * 2**attempt))
                    await asyncio.sleep(wait_s)
            if fault == "unreachable" and not self.answered:
                raise UserError(
                    f"model {self.name}: {self.model.url} does not answer: {detail}; is it running, is the url right?"
                )
            return Answer(key, time_s=round(time.monotonic() - begun, 6), error=fault, detail=self._redact(detail))
        finally:
            self.reserved -= self._most(request)

    async def _post(self, request: Request) -> Any:
        path, body = _body(self.model, request)
        reply = await self.client.post(f"{(self.model.url or '').rstrip('/')}/{path}", json=body)
        if reply.status_code == 200:
            try:
                return reply.json()
            except ValueError as error:
                raise Unusable(f"no JSON: {reply.text[:200]!r}") from error
        text = self._redact(" ".join(reply.text.split())[:500])
        detail = f"HTTP {reply.status_code}: {text}"
        if reply.status_code in (401, 403) or "insufficient_quota" in text:
            where = self.model.api_key_env or f"models.{self.name}.api_key_env"
            raise UserError(f"model {self.name}: {self.model.url} refuses us: {detail}; check {where}")
        if reply.status_code == 404:
            raise UserError(f"model {self.name}: {self.model.url} has no {path} for {self.model.path}: {detail}")
        if reply.status_code in RETRIED or reply.status_code >= 500:
            reason = "rate_limited" if reply.status_code == 429 else f"http_{reply.status_code}"
            raise Refused(reason, detail, again=True, wait_s=retry_after(reply.headers.get("retry-after")))
        too_long = any(clue in text.lower() for clue in TOO_LONG)
        raise Refused("prompt_too_long" if too_long else "refused", detail)

    def _read(self, key: bytes, request: Request, reply: Any, begun: float) -> Answer:
        try:
            choice, usage = reply["choices"][0], reply["usage"]
            text = choice["message"]["content"] if request.messages else choice["text"]
            reason = choice["finish_reason"]
            tokens = int(usage["prompt_tokens"]), int(usage["completion_tokens"])
            logprobs = _first_logprobs(choice, request) if request.logprobs_of else None
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise Unusable(f"no answer in {str(reply)[:200]!r}") from error
        if reason not in ("stop", "length"):
            raise Refused(str(reason or "unfinished"), f"finish_reason {reason}")
        return Answer(
            key=key,
            text=(text or "").encode("utf-8", "replace").decode(),  # JSON can spell half a character
            finish_reason=reason,
            prompt_tokens=tokens[0],
            output_tokens=tokens[1],
            seed=request.seed,
            time_s=round(time.monotonic() - begun, 6),
            logprobs=logprobs,
        )

    def _redact(self, text: str) -> str:
        return text.replace(self.key, "[key]") if self.key else text


class Refused(Exception):
    """The endpoint said no, for `reason`; `again` if it may say yes after `wait_s`."""

    def __init__(self, reason: str, detail: str, again: bool = False, wait_s: float = 0.0) -> None:
        super().__init__(detail)
        self.reason, self.detail, self.again, self.wait_s = reason, detail, again, wait_s


def retry_after(header: str | None) -> float:
    """Seconds that a Retry-After header asks for (whole seconds, or a date), an hour at most; 0 if it is unreadable."""
    if not header:
        return 0.0
    try:
        seconds = int(header) if header.strip().isdecimal() else parsedate_to_datetime(header).timestamp() - time.time()
    except ValueError:
        return 0.0
    return min(max(seconds, 0.0), 3600.0)


def _prompt_estimate(request: Request) -> int:
    """Tokens of the prompt, rather too many: exact for ids, else three characters a token."""
    if request.prompt_ids is not None:
        return len(request.prompt_ids)
    return sum(len(content) // 3 + 8 for _, content in request.messages or ())


def _body(model: Model, request: Request) -> tuple[str, dict[str, Any]]:
    """Path below the url, and the JSON to post. What only vLLM's server knows is sent only where it was asked for.

    `engine_args` join the body and win; a null takes a field out that an endpoint does not know.
    """
    s = request.sampling
    body: dict[str, Any] = {
        "model": model.path,
        "temperature": s.temperature,
        "top_p": s.top_p,
        "max_tokens": s.max_tokens,
        "seed": request.seed,
    }
    optional = {"top_k": s.top_k, "min_p": s.min_p, "repetition_penalty": s.repetition_penalty}
    body |= {key: value for key, value in optional.items() if value is not None}
    if request.stop_text:
        body["stop"] = [request.stop_text]
    if request.stop_ids:
        body |= {"stop_token_ids": list(request.stop_ids), "skip_special_tokens": False}
    if request.prompt_ids is not None:
        logprobs = {"logprobs": 20} if request.logprobs_of else {}
        body |= {"prompt": list(request.prompt_ids)} | logprobs | model.engine_args
        return "completions", {key: value for key, value in body.items() if value is not None}
    messages = [{"role": role, "content": content} for role, content in request.messages or ()]
    logprobs = {"logprobs": True, "top_logprobs": 20} if request.logprobs_of else {}
    body |= {"messages": messages} | logprobs | model.engine_args
    return "chat/completions", {key: value for key, value in body.items() if value is not None}


def _first_logprobs(choice: dict[str, Any], request: Request) -> list[float]:
    """Log-probabilities of the wanted texts as first token; -inf for one that is not among the 20 likeliest."""
    if request.messages:
        found = {entry["token"]: float(entry["logprob"]) for entry in choice["logprobs"]["content"][0]["top_logprobs"]}
    else:
        found = {token: float(value) for token, value in choice["logprobs"]["top_logprobs"][0].items()}
    return [found.get(text, -math.inf) for text in request.logprobs_of]


@contextmanager
def endpoint(name: str, model: Model) -> Iterator[OpenAIEngine]:
    """An endpoint to ask. Raises UserError when its settings are incomplete or the key is not in the environment."""
    engine = OpenAIEngine(name, model)
    try:
        yield engine
    finally:
        engine.close()
