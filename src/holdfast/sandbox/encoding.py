"""Conversations as token ids, what of them is learned, and in which order they come."""

import random
from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

import polars as pl
from transformers import PreTrainedTokenizerFast

from holdfast.tables import row_seed

SORTED = 16  # batches whose rows are sorted by length together
NO_LOSS = -100  # the label that torch's cross-entropy passes over


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
