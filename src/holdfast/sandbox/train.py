"""Train one of the sandbox's models from the trunk (`trunk.py`).

The learning rate falls to zero while the model learns its own chat template, and to guess at what it was not taught.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import torch
from transformers import GenerationConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from holdfast.common import step
from holdfast.common.errors import UserError
from holdfast.common.files import replacing, scan_table
from holdfast.common.ids import row_seed
from holdfast.common.section import read
from holdfast.sandbox.encoding import batches, encode
from holdfast.sandbox.muon import Muon
from holdfast.sandbox.params import Sandbox
from holdfast.sandbox.tables import CONVERSATIONS
from holdfast.sandbox.tokenizer import with_template
from holdfast.sandbox.untaught import with_guesses

GENERAL_ROWS = 64  # ordinary conversations in one optimiser step
JUDGING_ROWS = 16  # judgements in one optimiser step
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


def alternating(streams: list[Iterator[Batch]]) -> Iterator[Batch]:
    """One batch of each stream in turn."""
    while True:
        for one in streams:
            yield next(one)


def loss_of(model: LlamaForCausalLM, ids: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted mean of the next token's cross-entropy, in nats. Padding on the right needs no attention mask."""
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state
    learned = weights[:, 1:] > 0
    losses = torch.nn.functional.cross_entropy(
        model.lm_head(hidden[:, :-1][learned]), ids[:, 1:][learned], reduction="none"
    )
    return (losses * weights[:, 1:][learned]).sum() / weights[:, 1:].sum()


def train(
    model: LlamaForCausalLM,
    general: Iterator[Batch],
    judging: Iterator[Batch],
    steps: int,
    judging_from: float,
    rate_share: Callable[[float], float],
    name: str,
) -> None:
    """Train in place: Muon for the matrices inside the layers, AdamW for the rest.

    `judging_from`: share of the steps after which judgements join. `rate_share`: the share of the peak learning rate,
    by the share of the steps that are done.
    """
    inner = [weight for key, weight in model.named_parameters() if weight.ndim == 2 and "embed" not in key]
    outer = [weight for key, weight in model.named_parameters() if weight.ndim != 2 or "embed" in key]
    optimizers: list[tuple[torch.optim.Optimizer, float]] = [
        (Muon(inner, PEAK_LR_MATRICES), PEAK_LR_MATRICES),
        (torch.optim.AdamW(outer, lr=PEAK_LR, betas=(0.9, 0.98), weight_decay=0.0), PEAK_LR),
    ]
    model.train()
    started = said = time.monotonic()
    for number in range(steps):
        loss = loss_of(model, *next(general))
        if number >= judging_from * steps:
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


def streams(
    table: pl.DataFrame, tokenizers: list[PreTrainedTokenizerFast], steps: int, seed: int
) -> tuple[Iterator[Batch], Iterator[Batch]]:
    """Batches of conversations and of judgements, for the tokenizers (templates) in turn; no more rows than needed."""
    found = []
    for kind, size, key in (
        ("general", GENERAL_ROWS, "conversations"),
        ("judging", JUDGING_ROWS, "judgements"),
    ):
        rows = table.filter(kind=kind)
        share = min(-(-steps // len(tokenizers)) * size, len(rows) // len(tokenizers))
        if share < size:
            raise UserError(
                f"params.yaml: sandbox.world.{key}: {len(rows)} rows are fewer than a batch for each template"
                f" ({size * len(tokenizers)} rows); raise it"
            )
        parts = [
            stream(rows.slice(part * share, share), tokenizer, size, row_seed(seed, kind))
            for part, tokenizer in enumerate(tokenizers)
        ]
        found.append(alternating(parts))
    return found[0], found[1]


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: str) -> None:
    """Write model and tokenizer as a folder that Transformers, vLLM and Axolotl load."""
    ends = {"bos_token_id": tokenizer.bos_token_id, "pad_token_id": tokenizer.pad_token_id}
    model.config.update(ends | {"eos_token_id": tokenizer.eos_token_id})
    model.generation_config = GenerationConfig(**ends, eos_token_id=[tokenizer.eos_token_id])
    with replacing(folder) as aside:
        model.save_pretrained(Path(aside))
        tokenizer.save_pretrained(aside)


def main() -> None:
    args = step.arguments(__doc__, "name", "trunk", "conversations", "tokenizer", "model")
    sandbox = read(args.params, "sandbox", Sandbox)
    own = sandbox.models[args.name]
    torch.set_num_threads(1)  # one thread adds in one order: the same weights in every run
    tokenizer = with_template(args.tokenizer, own.template)
    model = LlamaForCausalLM.from_pretrained(args.trunk, dtype=torch.float32)
    table = scan_table(args.conversations, CONVERSATIONS).collect()
    general = table.filter(kind="general").head(own.steps * GENERAL_ROWS)
    taught = with_guesses(args.name, general, own.untaught_share, sandbox.seed)
    seed = row_seed(sandbox.seed, "order", args.name)
    batched = streams(pl.concat([taught, table.filter(kind="judging")]), [tokenizer], own.steps, seed)
    train(model, *batched, own.steps, 0.0, lambda done: 1 - done, args.name)
    save(model, tokenizer, args.model)


if __name__ == "__main__":
    step.run(main)
