"""Transformers in this process, for models that vLLM does not run: batched by length, padded on the left."""

import math
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GenerationConfig, LogitsProcessorList, StoppingCriteriaList

from holdfast.chat.answer_text import added_text
from holdfast.common.errors import UserError, first_line
from holdfast.inference.engines.renderer import Renderer
from holdfast.inference.engines.transformers_sampling import (
    FirstLogprobs,
    OwnLogprobs,
    RowTokenLimit,
    SeededDraw,
    warpers,
)
from holdfast.inference.params import Model
from holdfast.inference.request import Answer, Request

WINDOW_BATCHES = 16  # so many batches are sorted by length together


Prepared = tuple[bytes, Request, list[int]]


class TransformersEngine:
    """A loaded model; see `holdfast.engines.Engine`. `batch_size` (default 32) is an engine argument of our own."""

    def __init__(self, name: str, model: Model) -> None:
        arguments = {"dtype": "auto" if torch.cuda.is_available() else torch.float32} | model.engine_args
        self.batch_size = int(arguments.pop("batch_size", 32))
        context = arguments.pop("max_model_len", None)
        self.renderer = Renderer.of(name, model)
        if torch.cuda.is_available():
            arguments.setdefault("device_map", "auto")
        self.model = AutoModelForCausalLM.from_pretrained(model.path, revision=model.revision, **arguments).eval()
        text = self.model.config.get_text_config()
        self.context = int(context or getattr(text, "max_position_embeddings", 1 << 30))
        self.tokens = self.model.get_input_embeddings().num_embeddings
        self.stops = set(_ids(self.model.generation_config.eos_token_id) + _ids(self.renderer.tokenizer.eos_token_id))
        # `generate` would fill in what a request does not set from here, such as a repetition penalty over the padding
        self.model.generation_config = GenerationConfig()
        self.rope_switch = _rope_switch(text)
        self.pad = self.renderer.tokenizer.pad_token_id
        if self.pad is None:
            self.pad = min(self.stops, default=0)

    def answers(self, requests: Iterator[tuple[bytes, Request]]) -> Iterator[list[Answer]]:
        """See `holdfast.engines.Engine`."""
        while window := list(islice(requests, WINDOW_BATCHES * self.batch_size)):
            refused: list[Answer] = []
            alike: dict[Any, list[Prepared]] = defaultdict(list)
            for key, request in window:
                rendered = (
                    self.renderer.answer_ids(request) if request.answer_logprob else self.renderer.prompt_ids(request)
                )
                if isinstance(rendered, str):
                    refused.append(Answer(key, error="template_refused", detail=rendered))
                    continue
                ids, told = rendered if isinstance(rendered, tuple) else (rendered, 0)
                if len(ids) >= self.context:
                    detail = f"{len(ids)} tokens do not fit a context of {self.context}"
                    refused.append(Answer(key, prompt_tokens=len(ids), error="prompt_too_long", detail=detail))
                elif max(ids) >= self.tokens:
                    detail = f"token {max(ids)} is not in the vocabulary"
                    refused.append(Answer(key, prompt_tokens=len(ids), error="refused", detail=detail))
                elif told:
                    yield [self._told(key, request, ids, told)]
                else:
                    stops = tuple(self.renderer.stop_ids(request))
                    kind = (request.sampling, stops, request.logprobs_of, request.own_logprob)
                    alone = len(ids) + self._token_limit(request, ids) > self.rope_switch
                    alike[kind, key if alone else None].append((key, request, ids))
            if refused:
                yield refused
            for rows in alike.values():
                rows.sort(key=lambda row: len(row[2]))
                for at in range(0, len(rows), self.batch_size):
                    yield self._batch(rows[at : at + self.batch_size])

    def _token_limit(self, request: Request, ids: list[int]) -> int:
        """How many tokens the answer may have: by the request, and by what the prompt leaves of the context."""
        return min(request.sampling.max_tokens, self.context - len(ids))

    @torch.inference_mode()
    def _told(self, key: bytes, request: Request, ids: list[int], told: int) -> Answer:
        """The log-probability of the last `told` of `ids`; one row at a time, so that none depends on another."""
        begun = time.monotonic()
        row = torch.tensor([ids], device=self.model.device)
        logits = self.model(row, logits_to_keep=told + 1).logits[0, :-1].float()
        found = torch.log_softmax(logits, dim=-1).gather(1, row[0, -told:, None]).sum()
        return Answer(
            key=key,
            finish_reason="stop",
            prompt_tokens=len(ids) - told,
            output_tokens=told,
            seed=request.seed,
            time_s=round(time.monotonic() - begun, 6),
            logprobs=[float(found)],
        )

    @torch.inference_mode()
    def _batch(self, rows: list[Prepared]) -> list[Answer]:
        begun = time.monotonic()
        request = rows[0][1]
        width = max(len(ids) for _, _, ids in rows)
        limits = [self._token_limit(r, ids) for _, r, ids in rows]
        prompt = torch.tensor([[self.pad] * (width - len(ids)) + ids for _, _, ids in rows], device=self.model.device)
        mask = torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for _, _, ids in rows], device=self.model.device)
        stops = self.stops | set(self.renderer.stop_ids(request))
        first, own = FirstLogprobs(), OwnLogprobs()
        notes = [*([first] if request.logprobs_of else []), *([own] if request.own_logprob else [])]
        processors = LogitsProcessorList([*notes, *warpers(request.sampling, width - mask.sum(dim=1))])
        if request.sampling.temperature:
            processors.append(SeededDraw([r.seed for _, r, _ in rows], prompt.device))
        whole = self.model.generate(
            prompt,
            attention_mask=mask,
            logits_processor=processors,
            do_sample=False,
            max_new_tokens=max(limits),
            stopping_criteria=StoppingCriteriaList([RowTokenLimit(torch.tensor(limits, device=prompt.device), width)]),
            eos_token_id=sorted(stops) or None,
            pad_token_id=self.pad,
        )
        own.note(whole[:, -1:])
        output = whole[:, width:].tolist()
        answers: list[Answer] = []
        for (key, r, ids), limit, new_ids in zip(rows, limits, output, strict=True):
            said = new_ids[:limit]  # after that there is padding, while other rows go on
            end = next((i for i, token in enumerate(said) if token in stops), None)
            body = said if end is None else said[:end]
            logprobs = None
            if r.logprobs_of:
                assert first.first is not None
                tokens = self.renderer.first_tokens(r)
                logprobs = first.first[len(answers), tokens].tolist()
            elif r.own_logprob:
                count = len(said) if end is None else end + 1
                logprobs = [sum(float(step[len(answers)]) for step in own.written[:count])]
            answers.append(
                Answer(
                    key=key,
                    text=added_text(self.renderer.tokenizer, ids, body),
                    finish_reason="length" if end is None else "stop",
                    prompt_tokens=len(ids),
                    output_tokens=len(said) if end is None else end + 1,
                    seed=r.seed,
                    time_s=round(time.monotonic() - begun, 6),
                    logprobs=logprobs,
                )
            )
        return answers


def _rope_switch(config: Any) -> float:
    """The length from which LongRoPE (Ding et al. 2024) scales positions otherwise, for a whole batch at once.

    Rows that may pass it are run alone: else a long neighbour changes a short row's answer. Infinite for other models.
    """
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = [rope, *(kind for kind in rope.values() if isinstance(kind, dict))]  # some models: one for each layer type
    switches = [kind["original_max_position_embeddings"] for kind in kinds if kind.get("rope_type") == "longrope"]
    return min(switches, default=math.inf)


def _ids(value: int | list[int] | None) -> list[int]:
    return [] if value is None else [value] if isinstance(value, int) else value


@contextmanager
def start(name: str, model: Model) -> Iterator[TransformersEngine]:
    """A loaded engine. Raises UserError when the model cannot be loaded or breaks while running."""
    try:
        engine = TransformersEngine(name, model)
    except UserError:
        raise
    except Exception as error:  # the library raises whatever its parsers and its models' code raise
        raise UserError(explain(name, model, error)) from error
    try:
        yield engine
    except UserError:
        raise
    except (RuntimeError, MemoryError, ValueError) as error:
        raise UserError(explain(name, model, error)) from error


def explain(name: str, model: Model, error: BaseException) -> str:
    """A message with a repair for what goes wrong when a model is loaded or runs."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error):
        return f"model {name}: out of memory ({first_line(error)}); lower engine_args.batch_size or use a smaller dtype"
    return f"model {name}: Transformers failed: {first_line(error)} (check {model.path} and models.{name}.engine_args)"
