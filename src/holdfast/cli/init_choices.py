"""The settings that `holdfast init` chooses, each with its reason."""

import math
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.cli.init_looks import BaseModel, Domain
from holdfast.common.ids import row_id

KEPT = 0.6  # of the samples end as rehearsal rows, on the safe side; a pilot measures it
SHARE = 0.83  # of rehearsal in the mixture, as in the paper
HELD_OUT, MOST_HELD_OUT = 0.1, 200  # of the domain rows, where no suite is given
SHORT_ANSWER = 60  # characters, up to which an answer is compared as text
RUBRIC = Path("data/seed/rubric.md")
CONTEXT = 4096  # tokens, where the model does not say


class Choice(NamedTuple):
    """A value, and why."""

    value: Any
    why: str


def power_of_two(number: float) -> int:
    """The smallest power of two that is not below `number`."""
    return 1 << max(0, math.ceil(math.log2(max(number, 1))))


def adapter(model: BaseModel, gpus: int, memory_gb: float) -> Choice:
    """Full fine-tuning, LoRA or QLoRA on one GPU: by bytes per weight (16, 2.6 and 0.8 times 16-bit weights' size)."""
    size = model.weights_gb
    if size is None:
        return Choice("lora", "the weights are not on this machine, so their size is not known")
    if not gpus:
        whole = size < 0.5
        return Choice(None if whole else "lora", f"{size:.2g} GB of weights without a GPU")
    for name, factor in ((None, 8.0), ("lora", 1.3), ("qlora", 0.4)):
        if size * factor + 2 < memory_gb * 0.9:
            needed = size * factor + 2
            return Choice(
                name, f"needs about {needed:.0f} GB on a GPU of {memory_gb:.0f} GB ({size:.2g} GB of weights)"
            )
    return Choice(
        "qlora", f"{size:.0f} GB of weights: too large for one GPU of {memory_gb:.0f} GB; set train.axolotl.fsdp_config"
    )


def tensor_parallel(model: BaseModel, gpus: int, memory_gb: float) -> Choice:
    """GPUs over which vLLM spreads the model."""
    size = model.weights_gb or 0.0
    parts = min(power_of_two((size * 1.2 + 2) / (memory_gb * 0.9)), power_of_two(gpus + 1) // 2) if gpus else 0
    return Choice(parts, f"{size:.2g} GB of weights, {memory_gb:.0f} GB a GPU" if gpus else "no GPU")


def samples(domain_rows: int, wanted: int | None) -> Choice:
    if wanted:
        return Choice(wanted, "as told")
    rehearsal = domain_rows * SHARE / (1 - SHARE)
    number = max(500, math.ceil(rehearsal / KEPT / 100) * 100)
    return Choice(
        number, f"{rehearsal:,.0f} rehearsal rows go with {domain_rows:,} domain rows; about {KEPT:.0%} are kept"
    )


def lengths(model: BaseModel, domain: Domain | None) -> tuple[Choice, Choice, Choice]:
    """Context of inference, tokens of an answer, and sequence length of training."""
    context = min(model.context or CONTEXT, 8192)
    inference = Choice(context, f"the model's context is {model.context:,} tokens" if model.context else "not known")
    answer = Choice(max(8, min(1024, context // 4)), "a quarter of the context, at most 1,024")
    longest, rehearsal = domain.longest if domain else 0, 2 * answer.value
    why = f"the longest domain row has {longest:,} tokens, an instruction with its answer up to about {rehearsal:,}"
    return inference, answer, Choice(min(power_of_two(max(longest, rehearsal)), context), why)


def rubric_warning(model: BaseModel) -> str:
    """Why the model cannot judge with the rubric; empty where it can."""
    context, answer, _ = lengths(model, None)
    needed = len(model.tokenizer(RUBRIC.read_text(encoding="utf-8"))["input_ids"]) + 2 * answer.value
    if needed <= context.value:
        return ""
    return (
        f"{RUBRIC} with an instruction and an answer takes about {needed:,} tokens, and the model's context is"
        f" {context.value:,}: it cannot judge so. Write a shorter rubric (score.rubric), or let others judge"
    )


def held_out(domain: Domain) -> tuple[list[list[dict[str, Any]]], list[list[dict[str, Any]]]]:
    """Rows to train on, and rows for a domain suite: those of one question and answer, chosen by their content."""
    single = [
        row
        for row in domain.rows
        if [turn["role"] for turn in row if turn["role"] != "system"] == ["user", "assistant"]
    ]
    number = min(MOST_HELD_OUT, int(len(domain.rows) * HELD_OUT), len(single))
    ordered = sorted(single, key=lambda row: row_id("held out", row))
    questions = {str(row[-2]["content"]) for row in ordered[:number]}
    kept = [row for row in domain.rows if str(row[-2]["content"]) not in questions]
    return kept, ordered[:number]
