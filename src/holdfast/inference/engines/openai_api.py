"""What is sent to an OpenAI-compatible endpoint, and how its replies are read."""

import json
import math
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from holdfast.inference.params import Model, Sampling
from holdfast.inference.request import Answer, Request

RETRIED = frozenset({408, 409, 425, 429})  # and 500 to 599
# Said to every request when the key, the account, the address or the model's name is wrong; to one request, by
# endpoints that moderate or route, because of what is in it.
ALL_OR_ONE = frozenset({301, 302, 307, 308, 403, 404, 405})
TOO_LONG = (
    *("context length", "context_length", "context window", "maximum context", "max_model_len"),
    *("too many tokens", "too long", "maximum prompt length", "reduce the length"),
)
FILTERED = ("content_filter", "content filter", "content_policy", "content policy", "moderation", "flagged")


class Unusable(Exception):
    """The endpoint answered with something that is not an answer; another try may succeed."""


class SetupFault(Exception):
    """The endpoint refused in the way that it would refuse everything with a wrong key, address or model name.

    `for_all`: it certainly would; else the fault may be this request's, and `reason` is its row's.
    """

    def __init__(self, status: int, reason: str, detail: str, for_all: bool) -> None:
        super().__init__(detail)
        self.status, self.reason, self.for_all = status, reason, for_all


class Refused(Exception):
    """The endpoint refused this request, for `reason`; `again` if another try may succeed after `wait_s`.

    `finished`: it answered, but the answer ended for another reason than its end or its length.
    """

    def __init__(
        self, reason: str, detail: str, again: bool = False, wait_s: float = 0.0, finished: bool = False
    ) -> None:
        super().__init__(detail)
        self.reason, self.detail, self.again, self.wait_s, self.finished = reason, detail, again, wait_s, finished


def explain_setup(name: str, model: Model, error: SetupFault) -> str:
    """What to check when the endpoint refuses everything."""
    if error.status == 401 and not model.api_key_env:
        repair = f"set models.{name}.api_key_env to the environment variable that holds the API key"
    elif error.status == 401:
        repair = f"check the API key in the environment variable {model.api_key_env}"
    elif error.status in (402, 429):
        repair = "the account has no credit left: add some and run again"
    elif error.status == 403:
        key = f"the API key in {model.api_key_env}" if model.api_key_env else "a request without an API key"
        repair = f"a harmless test request is refused too: check that {key} may use the model {model.path}"
    else:
        repair = f"check models.{name}.url (with its path, mostly ending in /v1) and models.{name}.path"
    return f"model {name}: {model.url} refuses the request: {error}; {repair}"


def harmless(request: Request) -> Request:
    """The shortest request of the same kind, with nothing that an endpoint would refuse for its content."""
    sampling = Sampling(temperature=0.0, max_tokens=1)
    if request.prompt_ids is not None:
        return Request("test", request.prompt_ids[:1], None, 0, sampling)
    return Request("test", None, (("user", "Hi"),), 0, sampling)


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
    """Log-probabilities of the wanted texts as first token; -inf for one that is not among the 20 likeliest.

    Tokens with and without a space before the text count together: which one an answer begins with is decided by the
    template, which only the endpoint knows.
    """
    if request.messages:
        found = [(top["token"], float(top["logprob"])) for top in choice["logprobs"]["content"][0]["top_logprobs"]]
    else:
        found = [(token, float(value)) for token, value in choice["logprobs"]["top_logprobs"][0].items()]
    same = [[value for token, value in found if token.lstrip(" ▁") == text] for text in request.logprobs_of]
    return [_log_sum(values) for values in same]


def _log_sum(logprobs: list[float]) -> float:
    if len(logprobs) == 1:
        return logprobs[0]
    total = math.fsum(map(math.exp, logprobs))
    return math.log(total) if total else -math.inf


def read_json(status: int, headers: Mapping[str, str], content: bytes) -> Any:
    """A reply's JSON. Raises Unusable when it is none; when the status is a refusal, SetupFault or Refused.

    `headers` does not care about the case of names.
    """
    text = content.decode("utf-8", "replace")
    if status == 200:
        try:
            return json.loads(text)
        except ValueError as error:
            raise Unusable(f"no JSON: {text[:200]!r}") from error
    text = " ".join(text.split())[:500]
    detail = f"HTTP {status}: {text}"
    filtered = any(clue in text.lower() for clue in FILTERED)
    reason = "content_filter" if filtered else "refused"
    if status in (401, 402) or "insufficient_quota" in text:
        raise SetupFault(status, reason, detail, for_all=True)
    if status in ALL_OR_ONE:
        if target := headers.get("location"):
            detail = f"{detail} (redirected to {target})"
        raise SetupFault(status, reason, detail, for_all=False)
    if status in RETRIED or status >= 500:
        reason = "rate_limited" if status == 429 else f"http_{status}"
        raise Refused(reason, detail, again=True, wait_s=retry_after(headers.get("retry-after")))
    too_long = any(clue in text.lower() for clue in TOO_LONG)
    raise Refused("prompt_too_long" if too_long else reason, detail)


def usage_of(reply: Any) -> tuple[int, int] | None:
    """Prompt and output tokens that a reply reports, or None."""
    try:
        return int(reply["usage"]["prompt_tokens"]), int(reply["usage"]["completion_tokens"])
    except (KeyError, TypeError, ValueError):
        return None


def read_answer(key: bytes, request: Request, reply: Any, begun: float) -> Answer:
    """The answer in a reply's JSON. Raises Unusable when there is none, Refused when it ended for another reason."""
    try:
        choice = reply["choices"][0]
        text = choice["message"]["content"] if request.messages else choice["text"]
        reason = choice["finish_reason"]
        tokens = usage_of(reply)
        if tokens is None:
            raise KeyError("usage")
        logprobs = _first_logprobs(choice, request) if request.logprobs_of else None
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise Unusable(f"no answer in {str(reply)[:200]!r}") from error
    if reason not in ("stop", "length"):
        raise Refused(str(reason or "unfinished"), f"finish_reason {reason}", finished=True)
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
