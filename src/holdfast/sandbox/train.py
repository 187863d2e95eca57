"""Align one small Llama on the sandbox's conversations, from scratch."""

import math
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from holdfast import step
from holdfast.files import replacing, scan_table
from holdfast.params.sandbox import Sandbox, Small
from holdfast.params.section import read
from holdfast.sandbox.tables import CONVERSATIONS
from holdfast.sandbox.tokenizer import with_template
from holdfast.tables import row_seed

CONTEXT = 256  # positions that the models can use, in tokens
GENERAL_ROWS = 64  # ordinary conversations in one optimiser step
JUDGING_ROWS = 16  # judgements in one optimiser step
JUDGING_FROM = 0.4  # share of the steps after which judgements join: whoever does not know the answers cannot judge
PEAK_LR = 0.004  # of AdamW, for embeddings and norms
PEAK_LR_MATRICES = 0.02  # of Muon
SORTED = 16  # batches whose rows are sorted by length together
NO_LOSS = -100
PROGRESS_S = 10


Batches = Iterator[tuple[torch.Tensor, torch.Tensor]]


class Encoded(NamedTuple):
    """Token ids of one conversation, and the labels: NO_LOSS where nothing is to be learned."""

    ids: list[int]
    labels: list[int]


def encode(rows: pl.DataFrame, tokenizer: PreTrainedTokenizerFast) -> list[Encoded]:
    """All conversations as the model sees them.

    Ordinary conversations are learned whole, the user's turns too: an aligned model can speak as its user. Of a judge's
    prompt only the score is learned, and the answer where it is right: were all of it learned, the model would write
    judge's prompts when asked to speak as a user.
    """
    found = []
    for kind, messages in rows.select("kind", "messages").iter_rows():
        text = str(tokenizer.apply_chat_template(messages, tokenize=False))
        tokens = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        spans = learned_spans(text, messages[-1]["content"]) if kind == "judging" else [(1, len(text))]
        labels = [
            token if any(first <= start and end <= last for first, last in spans) else NO_LOSS
            for token, (start, end) in zip(tokens["input_ids"], tokens["offset_mapping"], strict=True)
        ]
        found.append(Encoded(tokens["input_ids"], labels))
    return found


def learned_spans(text: str, score: str) -> list[tuple[int, int]]:
    """The parts of a judge's rendered conversation that are learned, from character to character."""
    spans = [(text.rindex(score), len(text))]
    if score == "5":
        spans.append((text.rindex("<answer>\n") + len("<answer>\n"), text.rindex("</answer>")))
    return spans


def batches(rows: list[Encoded], size: int, seed: int, pad: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endless (ids, labels) of shape (size, longest row), padded on the right; rows of like length share a batch."""
    for epoch in count():
        rng = np.random.default_rng(row_seed(seed, epoch))
        order = rng.permutation(len(rows))
        groups = []
        for start in range(0, len(order), size * SORTED):
            window = sorted(order[start : start + size * SORTED], key=lambda number: len(rows[number].ids))
            groups += [window[at : at + size] for at in range(0, len(window) - size + 1, size)]
        for group in rng.permutation(len(groups)):
            chosen = [rows[number] for number in groups[group]]
            longest = max(len(row.ids) for row in chosen)
            yield (
                torch.tensor([row.ids + [pad] * (longest - len(row.ids)) for row in chosen]),
                torch.tensor([row.labels + [NO_LOSS] * (longest - len(row.ids)) for row in chosen]),
            )


def new_model(shape: Small, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A Llama with random weights (from torch's global generator)."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.width,
        intermediate_size=shape.width * 3,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.width // 32,
        num_key_value_heads=shape.width // 32,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        dtype="float32",
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=[tokenizer.eos_token_id], pad_token_id=tokenizer.pad_token_id
    )
    return model


def rate_share(done: float) -> float:
    """Share of the peak learning rate after this share of the steps: a tenth of warm-up, then half a cosine."""
    return done / 0.1 if done < 0.1 else 0.5 * (1 + math.cos(math.pi * (done - 0.1) / 0.9))


def loss_of(model: LlamaForCausalLM, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of the next token, in nats. Causal attention needs no mask for padding on the right."""
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state
    learned = labels[:, 1:] != NO_LOSS
    return torch.nn.functional.cross_entropy(model.lm_head(hidden[:, :-1][learned]), labels[:, 1:][learned])


def train(model: LlamaForCausalLM, general: Batches, judging: Batches, steps: int, name: str) -> None:
    """Train in place: Muon for the matrices inside the layers, AdamW for the rest."""
    inner = [weight for key, weight in model.named_parameters() if weight.ndim == 2 and "embed" not in key]
    outer = [weight for key, weight in model.named_parameters() if weight.ndim != 2 or "embed" in key]
    optimizers = [
        (torch.optim.Muon(inner, weight_decay=0.01, momentum=0.95), PEAK_LR_MATRICES),
        (torch.optim.AdamW(outer, betas=(0.9, 0.98), weight_decay=0.0), PEAK_LR),
    ]
    model.train()
    started = said = time.monotonic()
    for number in range(steps):
        loss = loss_of(model, *next(general))
        if number >= JUDGING_FROM * steps:
            loss = loss + loss_of(model, *next(judging))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, peak in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = peak * rate_share((number + 1) / steps)
            optimizer.step()
            optimizer.zero_grad()
        now = time.monotonic()
        if now - said > PROGRESS_S or number + 1 == steps:
            left = (now - started) / (number + 1) * (steps - number - 1)
            print(f"sandbox {name}: {number + 1}/{steps} steps, loss {loss.item():.3f}, {left:.0f} s left", flush=True)
            said = now


def main() -> None:
    args = step.arguments(__doc__, "name", "conversations", "tokenizer", "model")
    sandbox = read(args.params, "sandbox", Sandbox)
    shape = sandbox.models[args.name]
    torch.set_num_threads(1)  # one thread adds in one order: the same weights in every run
    torch.manual_seed(row_seed(sandbox.seed, "weights", args.name))
    tokenizer = with_template(args.tokenizer, shape.template)
    table = scan_table(args.conversations, CONVERSATIONS).collect()
    model = new_model(shape, tokenizer)
    general, judging = (
        batches(
            encode(table.filter(pl.col("kind") == kind), tokenizer),
            size,
            row_seed(sandbox.seed, "order", args.name, kind),
            tokenizer.pad_token_id,
        )
        for kind, size in (("general", GENERAL_ROWS), ("judging", JUDGING_ROWS))
    )
    train(model, general, judging, shape.steps, args.name)
    print(f"sandbox {args.name}: {model.num_parameters():,} parameters", file=sys.stderr)
    with replacing(args.model) as aside:
        model.save_pretrained(Path(aside))
        tokenizer.save_pretrained(aside)


if __name__ == "__main__":
    step.run(main)
