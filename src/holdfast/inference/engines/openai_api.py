"""What is sent to an OpenAI-compatible endpoint, and how its replies are read."""

import json
import math
import time
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from holdfast.inference.params import Model
from holdfast.inference.request import Answer, Request

RETRIED = frozenset({408, 409, 425, 429})  # and 500 to 599


TOO_LONG = ("context length", "context_length", "maximum context", "max_model_len", "too many tokens", "too long")


class Unusable(Exception):
    """The endpoint answered with something that is no answer; worth another try."""


class Hopeless(Exception):
    """The endpoint said what it will say to every request: a wrong key, an empty account, a model that it has not."""


class Refused(Exception):
    """The endpoint said no, for `reason`; `again` if it may say yes after `wait_s`."""

    def __init__(self, reason: str, detail: str, again: bool = False, wait_s: float = 0.0) -> None:
        super().__init__(detail)
        self.reason, self.detail, self.again, self.wait_s = reason, detail, again, wait_s


def prompt_estimate(request: Request) -> int:
    """Tokens of the prompt, rather too many: exact for ids, else three characters a token."""
    if request.prompt_ids is not None:
        return len(request.prompt_ids)
    return sum(len(content) // 3 + 8 for _, content in request.messages or ()) + len(request.rendering or "") // 3


def body_of(model: Model, request: Request) -> tuple[str, dict[str, Any]]:
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
    body |= {"messages": messages} | _rendering(request.rendering) | logprobs | model.engine_args
    return "chat/completions", {key: value for key, value in body.items() if value is not None}


def _rendering(rendering: str | None) -> dict[str, Any]:
    """Fields of the body for what the template is to be given. Answers are texts, so no call of a tool is parsed."""
    options = json.loads(rendering or "{}")
    tools = {"tools": options.pop("tools"), "tool_choice": "none"} if "tools" in options else {}
    return tools | ({"chat_template_kwargs": options} if options else {})


def _first_logprobs(choice: dict[str, Any], request: Request) -> list[float]:
    """Log-probabilities of the wanted texts as first token; -inf for one that is not among the 20 likeliest."""
    if request.messages:
        found = {entry["token"]: float(entry["logprob"]) for entry in choice["logprobs"]["content"][0]["top_logprobs"]}
    else:
        found = {token: float(value) for token, value in choice["logprobs"]["top_logprobs"][0].items()}
    return [found.get(text, -math.inf) for text in request.logprobs_of]


def read_json(reply: httpx.Response) -> Any:
    """A reply's JSON. Raises Unusable when it is none, Refused when the status says no; Hopeless, for all."""
    if reply.status_code == 200:
        try:
            return reply.json()
        except ValueError as error:
            raise Unusable(f"no JSON: {reply.text[:200]!r}") from error
    text = " ".join(reply.text.split())[:500]
    detail = f"HTTP {reply.status_code}: {text}"
    if reply.status_code in (401, 403, 404) or "insufficient_quota" in text:
        raise Hopeless(detail)
    if reply.status_code in RETRIED or reply.status_code >= 500:
        reason = "rate_limited" if reply.status_code == 429 else f"http_{reply.status_code}"
        raise Refused(reason, detail, again=True, wait_s=retry_after(reply.headers.get("retry-after")))
    too_long = any(clue in text.lower() for clue in TOO_LONG)
    raise Refused("prompt_too_long" if too_long else "refused", detail)


def read_answer(key: bytes, request: Request, reply: Any, begun: float) -> Answer:
    """The answer in a reply's JSON. Raises Unusable when there is none, Refused when it ended for another reason."""
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


def retry_after(header: str | None) -> float:
    """Seconds that a Retry-After header asks for (whole seconds, or a date), an hour at most; 0 if it is unreadable."""
    if not header:
        return 0.0
    try:
        seconds = int(header) if header.strip().isdecimal() else parsedate_to_datetime(header).timestamp() - time.time()
    except ValueError:
        return 0.0
    return min(max(seconds, 0.0), 3600.0)
