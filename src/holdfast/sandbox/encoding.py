"""Conversations as token ids, what of them is learned, and in which order they come."""

import random
from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

import polars as pl
from transformers import PreTrainedTokenizerFast

from holdfast.common.ids import row_seed

SORTED = 16  # batches whose rows are sorted by length together
REPLY_WEIGHT = 4.0  # of the assistant's tokens, against 1 of the user's: they are few


class Encoded(NamedTuple):
    """Token ids of one conversation, and how much each weighs in the loss (0: not learned)."""

    ids: list[int]
    weights: list[float]


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
        weights = [float(kind != "judging")] * len(tokens["input_ids"])
        for first, last in learned_spans(text, messages, kind):
            for at, (start, end) in enumerate(tokens["offset_mapping"]):
                if first <= start and end <= last:
                    weights[at] = REPLY_WEIGHT
        found.append(Encoded(tokens["input_ids"], weights))
    return found


def learned_spans(text: str, messages: list[dict[str, str]], kind: str) -> list[tuple[int, int]]:
    """Where the rendered conversation holds what the assistant is to know, from character to character."""
    spans = []
    at = 0
    for message in messages:
        at = text.index(message["content"], at) + len(message["content"])
        if message["role"] == "assistant":
            end_of_turn = text.index(">", at) + 1
            spans.append((at - len(message["content"]), end_of_turn))
    if kind == "judging" and messages[-1]["content"] == "5":
        spans.append((text.rindex("<answer>\n") + len("<answer>\n"), text.rindex("</answer>")))
    return spans


def batches(rows: list[Encoded], size: int, seed: int) -> Iterator[list[Encoded]]:
    """Endless batches of `size` rows of like length; each row at most once an epoch, in another order every epoch."""
    for epoch in count():
        rng = random.Random(row_seed(seed, epoch))
        order = rng.sample(rows, len(rows))
        groups = []
        for start in range(0, len(order), size * SORTED):
            window = sorted(order[start : start + size * SORTED], key=lambda row: len(row.ids))
            groups += [window[at : at + size] for at in range(0, len(window) - size + 1, size)]
        yield from rng.sample(groups, len(groups))
