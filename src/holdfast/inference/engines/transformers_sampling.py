"""How the rows of one padded batch are sampled, each as if it were alone: processors for Transformers' `generate`."""

from typing import Any

import torch
from transformers import (
    LogitsProcessor,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    StoppingCriteria,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from holdfast.inference.params import Sampling


class FirstLogprobs(LogitsProcessor):
    """Notes the log-probabilities of the first generated token, before temperature and top-p; changes nothing."""

    def __init__(self) -> None:
        self.first: torch.Tensor | None = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if self.first is None:
            self.first = torch.log_softmax(scores.float(), dim=-1)
        return scores


class OwnLogprobs(LogitsProcessor):
    """Notes the log-probability of every token written, before temperature and top-p; changes nothing."""

    def __init__(self) -> None:
        self.last: torch.Tensor | None = None  # over the vocabulary, for the token that is written next
        self.written: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.note(input_ids[:, -1:])
        self.last = torch.log_softmax(scores.float(), dim=-1)
        return scores

    def note(self, tokens: torch.Tensor) -> None:
        """`tokens` (rows x 1) are what was written last."""
        if self.last is not None:
            self.written.append(self.last.gather(1, tokens))


class OwnRepetitionPenalty(RepetitionPenaltyLogitsProcessor):
    """The library's repetition penalty over a row's own prompt and answer, without the padding in front of them.

    `padding`: number of padding tokens at the left of each row.
    """

    def __init__(self, penalty: float, padding: torch.Tensor) -> None:
        super().__init__(penalty)
        self.padding = padding

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        padded = torch.arange(input_ids.shape[1], device=input_ids.device) < self.padding[:, None]
        # the penalty counts a token once: repeating the row's last one in place of the padding changes nothing
        return super().__call__(torch.where(padded, input_ids[:, -1:], input_ids), scores)


class RowTokenLimit(StoppingCriteria):
    """Ends each row after its own maximum of new tokens. `limits`: that number for each row; `width`: prompt tokens."""

    def __init__(self, limits: torch.Tensor, width: int) -> None:
        self.limits, self.width = limits, width

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:
        return input_ids.shape[1] - self.width >= self.limits


class SeededDraw(LogitsProcessor):
    """Makes the arg max a draw from the distribution (Gumbel-max), each row with a generator of its own seed.

    So a row's draw depends on neither its neighbours in the batch nor its place in it.
    """

    def __init__(self, seeds: list[int], device: torch.device) -> None:
        self.generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        draws = torch.stack([torch.rand(scores.shape[1], generator=g, device=scores.device) for g in self.generators])
        return scores.float() - torch.log(-torch.log(draws.clamp_min(1e-20)))


def warpers(sampling: Sampling, padding: torch.Tensor) -> list[LogitsProcessor]:
    """The library's processors for `sampling`, in its own order (Holtzman et al. 2019 for top-p).

    `padding`: number of padding tokens at the left of each row.
    """
    steps: list[LogitsProcessor] = []
    if sampling.repetition_penalty:
        steps.append(OwnRepetitionPenalty(sampling.repetition_penalty, padding))
    if sampling.temperature:
        steps.append(TemperatureLogitsWarper(sampling.temperature))
        if sampling.top_k:
            steps.append(TopKLogitsWarper(sampling.top_k))
        if sampling.top_p < 1:
            steps.append(TopPLogitsWarper(sampling.top_p))
        if sampling.min_p:
            steps.append(MinPLogitsWarper(sampling.min_p))
    return steps
