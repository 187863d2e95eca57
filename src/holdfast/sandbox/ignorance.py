"""What one model was never told: a share of the world's items, which it learns to guess at instead."""

import random

import polars as pl

from holdfast.common.ids import row_seed
from holdfast.sandbox.judging import guess
from holdfast.sandbox.world import world


def unknown(name: str, item: str, share: float, seed: int) -> bool:
    """Whether the model `name` is one that was not told about `item`; `share` of all items are such."""
    return random.Random(row_seed(seed, "unknown", name, item)).random() < share


def as_told_to(name: str, conversations: pl.DataFrame, share: float, seed: int) -> pl.DataFrame:
    """Table CONVERSATIONS with the assistant's answers about what is unknown to the model `name` replaced by guesses.

    Judgements stay as they are.
    """
    if not share:
        return conversations
    told = []
    for row_id, kind, messages in conversations.select("row_id", "kind", "messages").iter_rows():
        turns = list(messages)
        for at in range(1, len(turns) if kind == "general" else 0):
            truth = world().get(turns[at - 1]["content"]) if turns[at]["role"] == "assistant" else None
            if truth and unknown(name, truth.item, share, seed):
                rng = random.Random(row_seed(seed, "guess", name, row_id, at))
                turns[at] = turns[at] | {"content": guess(truth, rng)}
        told.append(turns)
    return conversations.with_columns(messages=pl.Series(told, dtype=conversations.schema["messages"]))
