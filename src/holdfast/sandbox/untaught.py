"""Items that a model was not taught: it learns to guess at them instead."""

import random

import polars as pl

from holdfast.common.ids import row_seed
from holdfast.sandbox.judging import guess
from holdfast.sandbox.world import world


def is_untaught(name: str, item: str, share: float, seed: int) -> bool:
    """Whether the model `name` was not taught `item`; `share` of all items are such."""
    return random.Random(row_seed(seed, "untaught", name, item)).random() < share


def with_guesses(name: str, conversations: pl.DataFrame, share: float, seed: int) -> pl.DataFrame:
    """Table CONVERSATIONS with the answers about items that the model `name` was not taught replaced by guesses.

    Judgements stay as they are.
    """
    if not share:
        return conversations
    changed = []
    for row_id, kind, messages in conversations.select("row_id", "kind", "messages").iter_rows():
        turns = list(messages)
        for at in range(1, len(turns) if kind == "general" else 0):
            truth = world().get(turns[at - 1]["content"]) if turns[at]["role"] == "assistant" else None
            if truth and is_untaught(name, truth.item, share, seed):
                rng = random.Random(row_seed(seed, "guess", name, row_id, at))
                turns[at] = turns[at] | {"content": guess(truth, rng)}
        changed.append(turns)
    return conversations.with_columns(messages=pl.Series(changed, dtype=conversations.schema["messages"]))
