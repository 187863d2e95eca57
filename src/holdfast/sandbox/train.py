"""Align one small Llama on the sandbox's conversations, from scratch."""

import math
import sys
import time
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
PACK = 256  # tokens of one packed training sequence
BATCH = 8  # packed sequences in one optimiser step
PEAK_LR = 4e-3
NO_LOSS = -100
PROGRESS_S = 10


class Encoded(NamedTuple):
    """Token ids of one conversation, and the labels: NO_LOSS where nothing is to be learned."""

    ids: list[int]
    labels: list[int]


def encode(rows: pl.DataFrame, tokenizer: PreTrainedTokenizerFast) -> list[Encoded]:
    """All conversations as the model sees them.

    Ordinary conversations are learned whole, the user's turns too: an aligned model can speak as its user. Of a judge's
    prompt only the score is learned, or the model would write judge's prompts when asked to speak as a user.
    """
    found = []
    for kind, messages in rows.select("kind", "messages").iter_rows():
        ids = _ids(tokenizer.apply_chat_template(messages, tokenize=False), tokenizer)
        labels = list(ids)
        if kind == "judging":
            prompt = tokenizer.apply_chat_template(messages[:-1], tokenize=False, add_generation_prompt=True)
            known = len(_ids(prompt, tokenizer))
            labels[:known] = [NO_LOSS] * known
        labels[0] = NO_LOSS
        found.append(Encoded(ids, labels))
    return found


def _ids(text: str, tokenizer: PreTrainedTokenizerFast) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


class Packed(NamedTuple):
    """Arrays of shape (sequences, PACK): conversation number within the sequence (-1: padding) separates neighbours."""

    ids: np.ndarray
    labels: np.ndarray
    conversation: np.ndarray
    position: np.ndarray


def pack(rows: list[Encoded], order: np.ndarray, pad: int) -> Packed:
    """Lay the conversations one after another into sequences of PACK tokens, in this order, none cut in two."""
    lines: list[list[int]] = [[]]
    room = PACK
    for number in order:
        if len(rows[number].ids) > room:
            lines.append([])
            room = PACK
        lines[-1].append(number)
        room -= len(rows[number].ids)
    shape = (len(lines), PACK)
    packed = Packed(np.full(shape, pad), np.full(shape, NO_LOSS), np.full(shape, -1), np.zeros(shape, dtype=np.int64))
    for line, numbers in enumerate(lines):
        start = 0
        for count, number in enumerate(numbers):
            span = slice(start, start + len(rows[number].ids))
            packed.ids[line, span] = rows[number].ids
            packed.labels[line, span] = rows[number].labels
            packed.conversation[line, span] = count
            packed.position[line, span] = np.arange(span.stop - start)
            start = span.stop
    return packed


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
        attn_implementation="sdpa",
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


def train(model: LlamaForCausalLM, rows: list[Encoded], pad: int, steps: int, seed: int, name: str) -> None:
    """Train in place with AdamW; conversations packed into one sequence do not see each other."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LR, betas=(0.9, 0.98), weight_decay=0.01)
    causal = torch.ones(PACK, PACK, dtype=torch.bool).tril()
    model.train()
    epoch, at, packed, order = 0, 0, None, np.empty(0, dtype=np.int64)
    started = said = time.monotonic()
    for number in range(steps):
        if packed is None or at + BATCH > len(order):
            rng = np.random.default_rng(row_seed(seed, "epoch", epoch))
            packed = pack(rows, rng.permutation(len(rows)), pad)
            order, at, epoch = rng.permutation(len(packed.ids)), 0, epoch + 1
        ids, labels, conversation, position = (torch.from_numpy(part[order[at : at + BATCH]]) for part in packed)
        at += BATCH
        mask = (conversation[:, None, :, None] == conversation[:, None, None, :]) & causal
        hidden = model.model(
            input_ids=ids, attention_mask=mask, position_ids=position, use_cache=False
        ).last_hidden_state
        wanted = labels[:, 1:] != NO_LOSS
        loss = torch.nn.functional.cross_entropy(model.lm_head(hidden[:, :-1][wanted]), labels[:, 1:][wanted])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = PEAK_LR * rate_share((number + 1) / steps)
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
    rows = encode(scan_table(args.conversations, CONVERSATIONS).collect(), tokenizer)
    model = new_model(shape, tokenizer)
    train(model, rows, tokenizer.pad_token_id, shape.steps, row_seed(sandbox.seed, "order", args.name), args.name)
    print(f"sandbox {args.name}: {model.num_parameters():,} parameters", file=sys.stderr)
    with replacing(args.model) as aside:
        model.save_pretrained(Path(aside))
        tokenizer.save_pretrained(aside)


if __name__ == "__main__":
    step.run(main)
