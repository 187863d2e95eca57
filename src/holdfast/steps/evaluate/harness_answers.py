"""What a model has answered to the evaluation harness, in the model's journal: a killed suite continues from there."""

import json
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Any

import polars as pl

from holdfast.common.wording import counted
from holdfast.inference.journal import Journal
from holdfast.inference.request import Answer
from holdfast.inference.shards import Shard

STEP = "lm_eval"


# kinds of requests, with what stands for the answer to another shard's request
NOT_ASKED: dict[str, Any] = {"loglikelihood": (0.0, False), "loglikelihood_rolling": 0.0, "generate_until": ""}


class HarnessAnswers:
    """The harness's requests of one model that have an answer, by kind and arguments.

    `manner` is all that decides an answer besides the model's fingerprint and the request: the harness's version, its
    backend, how the tokenizer is loaded. Takes the place of the harness's `CacheHook`: its backends call `add_partial`
    after each batch. With a `shard` the model is asked that shard's requests only.
    """

    def __init__(self, journal: Journal, manner: Sequence[object], shard: Shard | None = None) -> None:
        self.shard = shard
        self.of_shard: set[str] = set()  # keys of its requests, hex
        self.asked_once = False  # the model has answered all requests of a kind, and is not being asked now
        self._journal = journal
        self._manner = blake2b(json.dumps(manner).encode(), digest_size=16).digest()
        rows = journal.rows().filter(pl.col("step") == STEP).select("key", "text").collect()
        self._texts: dict[bytes, str] = dict(rows.iter_rows())

    def mine(self, kind: str, arguments: Sequence[Any]) -> bool:
        """Whether the request is the shard's, if there is one. A sampled one is none's: it would not be kept."""
        if self.shard is None:
            return True
        key = self._key(kind, arguments)
        if sampled(kind, arguments) or not self.shard.has(key):
            return False
        self.of_shard.add(key.hex())
        return True

    def find(self, kind: str, arguments: Iterable[Any]) -> Any:
        """The model's answer to a request, as the harness's backend returned it; None if there is none."""
        text = self._texts.get(self._key(kind, arguments))
        if text is None:
            return None
        answer = json.loads(text)
        return tuple(answer) if isinstance(answer, list) else answer

    def add_partial(self, attr: str, req: Iterable[Any], res: Any) -> None:
        """Keep the answer `res` to the request `req` of the kind `attr`. Sampled answers are not kept."""
        request = tuple(req)
        key = self._key(attr, request)
        if key not in self._texts and not sampled(attr, request):
            self._texts[key] = json.dumps(res)
            self._journal.add([Answer(key, self._texts[key], "stop")], STEP)

    def _key(self, kind: str, arguments: Iterable[Any]) -> bytes:
        from lm_eval.api.model import hash_args

        return blake2b(self._manner + hash_args(kind, arguments).encode(), digest_size=16).digest()


def sampled(kind: str, arguments: Sequence[Any]) -> bool:
    """Whether the answer is drawn at random: from a state that depends on the requests before it, so it is not kept."""
    settings = arguments[1] if kind == "generate_until" else {}
    return bool(settings.get("do_sample", (settings.get("temperature") or 0) > 0))


def resumed(lm: Any, answers: HarnessAnswers) -> Any:
    """The harness's model `lm`, asked only what is not in `answers`, to which it adds."""
    lm.set_cache_hook(answers)
    for kind in NOT_ASKED:
        setattr(lm, kind, _asking(kind, getattr(lm, kind), answers))
    return lm


def _asking(kind: str, ask: Callable[..., list[Any]], answers: HarnessAnswers) -> Callable[..., list[Any]]:
    def only_missing(requests: list[Any], *args: Any, **kwargs: Any) -> list[Any]:
        answers.asked_once = False
        found = [
            (None if sampled(kind, r.args) else answers.find(kind, r.args))
            if answers.mine(kind, r.args)
            else NOT_ASKED[kind]
            for r in requests
        ]
        missing = [request for request, answer in zip(requests, found, strict=True) if answer is None]
        if len(missing) < len(requests) and not answers.shard:
            earlier = counted(len(requests) - len(missing), "request")
            print(f"{STEP}: {earlier} of {len(requests):,} ({kind}) answered by the journal", flush=True)
        new = iter(ask(missing, *args, **kwargs) if missing else [])
        answers.asked_once = True
        return [next(new) if answer is None else answer for answer in found]

    return only_missing
