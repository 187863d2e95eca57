"""One question to a model, its key, and the answer: what steps, journal and engines pass to each other."""

import json
from array import array
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from holdfast.inference.params import Sampling


class Request(NamedTuple):
    """One row to ask a model for. Exactly one of `prompt_ids` and `messages` is given.

    `messages` are (role, content) pairs, rendered with the model's own chat template and its generation prompt; special
    tokens are not recognised inside a content. `logprobs_of` names texts (such as "1" to "5") whose log-probabilities
    as the first token of the answer are wanted, after the text that the chat template has before an answer. With
    `own_logprob` the answer's `logprobs` is one number instead: the sum over the tokens written; null where an engine
    cannot tell. `stop_text` is plain text after which nothing is wanted: an engine may stop there, leaving it out, or
    write on. `rendering` is a JSON object of what the chat template is given besides `messages`: `tools`, and switches
    such as `enable_thinking`. With `answer_logprob` the last of `messages` is an answer by the assistant, and nothing
    is written: `logprobs` is one number, the sum over the tokens of that answer and the one that ends its turn, and
    `output_tokens` counts these. Only engines that run in this process can do that.
    """

    id: str
    prompt_ids: tuple[int, ...] | None
    messages: tuple[tuple[str, str], ...] | None
    seed: int
    sampling: Sampling
    stop_ids: tuple[int, ...] = ()
    logprobs_of: tuple[str, ...] = ()
    own_logprob: bool = False
    stop_text: str | None = None
    rendering: str | None = None
    answer_logprob: bool = False


VERSION = 1  # of how engines send a request; raise it when that changes, so that old answers are not used


# Faults that the same request to the same model has every time: they are kept like answers, not asked again.
PERMANENT = frozenset({"prompt_too_long", "template_refused"})


class Answer(NamedTuple):
    """What a model said to the request with this `key`; `error` is a reason such as prompt_too_long, None when fine."""

    key: bytes
    text: str = ""
    finish_reason: str = "error"  # stop | length | error
    prompt_tokens: int = 0
    output_tokens: int = 0
    seed: int = 0
    time_s: float = 0.0
    logprobs: list[float] | None = None
    error: str | None = None
    detail: str | None = None


@lru_cache(maxsize=256)
def _settings(
    fingerprint: str,
    sampling: Sampling,
    stop_ids: tuple[int, ...],
    logprobs_of: tuple[str, ...],
    own_logprob: bool,
    stop_text: str | None,
    opened: bool,
) -> bytes:
    drawn = sampling.model_dump(exclude_none=True)
    if sampling.temperature == 0:  # greedy: these choose nothing
        drawn = {k: v for k, v in drawn.items() if k not in ("top_p", "top_k", "min_p")}
    settings = [VERSION, fingerprint, drawn, sorted(stop_ids), logprobs_of, own_logprob, stop_text]
    text = json.dumps([*settings, "opened"] if opened else settings, sort_keys=True)
    return blake2b(text.encode(), digest_size=32).digest()


def request_key(fingerprint: str, request: Request, opened: bool = False) -> bytes:
    """16 bytes that stand for everything that the answer depends on, and for nothing else.

    That is: the model (`fingerprint`), sampling, stop tokens, the exact prompt tokens or messages with their rendering,
    the wanted log-probabilities and, unless sampling is greedy, the seed. The row's id is not in it: one question is
    asked once. `opened`: the model's chat template has text before an answer, after which `logprobs_of` are read; once
    they were read in its place.
    """
    opened = opened and bool(request.logprobs_of) and request.messages is not None
    asked = (request.sampling, request.stop_ids, request.logprobs_of, request.own_logprob, request.stop_text, opened)
    digest = blake2b(_settings(fingerprint, *asked), digest_size=16)
    digest.update((0 if request.sampling.temperature == 0 else request.seed).to_bytes(8, "little"))
    if request.prompt_ids is not None:
        assert request.messages is None, "a request has prompt_ids or messages, not both"
        digest.update(b"ids")
        digest.update(array("q", request.prompt_ids).tobytes())
    else:
        assert request.messages, "a request has prompt_ids or messages"
        if request.answer_logprob:
            digest.update(b"answer")
        parts = [part for message in request.messages for part in message]
        if request.rendering is not None:  # without, keys are as they were before there were renderings
            digest.update(b"rendered")
            parts.insert(0, request.rendering)
        for part in parts:
            encoded = part.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(8, "little"))
            digest.update(encoded)
    return digest.digest()
