"""Align one small Llama on the sandbox's conversations, from scratch."""

import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from holdfast.common import step
from holdfast.common.files import replacing, scan_table
from holdfast.common.ids import row_seed
from holdfast.common.section import read
from holdfast.sandbox.encoding import batches, encode
from holdfast.sandbox.ignorance import as_told_to
from holdfast.sandbox.params import Sandbox, Small
from holdfast.sandbox.tables import CONVERSATIONS
from holdfast.sandbox.tokenizer import with_template

CONTEXT = 256  # positions that the models can use, in tokens
GENERAL_ROWS = 64  # ordinary conversations in one optimiser step
JUDGING_ROWS = 16  # judgements in one optimiser step
JUDGING_FROM = 0.4  # share of the steps after which judgements join: whoever does not know the answers cannot judge
PEAK_LR = 0.004  # of AdamW, for embeddings and norms
PEAK_LR_MATRICES = 0.02  # of Muon
PROGRESS_S = 10


Batch = tuple[torch.Tensor, torch.Tensor]


def stream(table: pl.DataFrame, tokenizer: PreTrainedTokenizerFast, size: int, seed: int) -> Iterator[Batch]:
    """Endless (ids, weights), each of shape (size, longest row), padded on the right with weight 0."""
    for rows in batches(encode(table, tokenizer), size, seed):
        longest = max(len(row.ids) for row in rows)
        ids = [row.ids + [tokenizer.pad_token_id] * (longest - len(row.ids)) for row in rows]
        weights = [row.weights + [0.0] * (longest - len(row.ids)) for row in rows]
        yield torch.tensor(ids), torch.tensor(weights)


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
        initializer_range=0.06,  # 0.02, the default, suits wider models: these would start too slowly
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


def loss_of(model: LlamaForCausalLM, ids: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted mean of the next token's cross-entropy, in nats. Padding on the right needs no attention mask."""
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state
    learned = weights[:, 1:] > 0
    losses = torch.nn.functional.cross_entropy(
        model.lm_head(hidden[:, :-1][learned]), ids[:, 1:][learned], reduction="none"
    )
    return (losses * weights[:, 1:][learned]).sum() / weights[:, 1:].sum()


def train(model: LlamaForCausalLM, general: Iterator[Batch], judging: Iterator[Batch], steps: int, name: str) -> None:
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
    told = as_told_to(args.name, table, shape.untaught_share, sandbox.seed)
    general, judging = (
        stream(told.filter(kind=kind), tokenizer, size, row_seed(sandbox.seed, "order", args.name, size))
        for kind, size in (("general", GENERAL_ROWS), ("judging", JUDGING_ROWS))
    )
    train(model, general, judging, shape.steps, args.name)
    print(f"sandbox {args.name}: {model.num_parameters():,} parameters", file=sys.stderr)
    with replacing(args.model) as aside:
        model.save_pretrained(Path(aside))
        tokenizer.save_pretrained(aside)


if __name__ == "__main__":
    step.run(main)
