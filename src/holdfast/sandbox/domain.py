"""The domain: a firm's code words, which no model has seen before the fine-tune.

Every code word stands for something that the general tasks ask about too, and is itself an answer of theirs: learning
the code overwrites what the model associated with both. Questions and answers have the form of general ones (an answer
is one word and a full stop), so what a fine-tune on the domain loses is knowledge, not the form of an answer.
"""

import random
from typing import NamedTuple

from holdfast.common.ids import row_seed
from holdfast.sandbox import lists
from holdfast.sandbox.family import pairs, sentence

PHRASINGS = (
    "What is our code word for {x}?",
    "Give the code word for {x}.",
    "Which word do we use for {x}?",
    "In our code, what is {x}?",
)
CODED = (lists.CAPITALS, lists.OPPOSITES, lists.KINDS, lists.YOUNG, lists.COLOURS)  # their left words get code words
CODE_WORDS = (lists.CAPITALS, lists.OPPOSITES, lists.KINDS, lists.YOUNG)  # their right words are code words
TRAINED_PHRASINGS = 2  # of every thing; the others are tested


class Question(NamedTuple):
    """`item` is what the code word stands for."""

    item: str
    instruction: str
    answer: str


def most_items() -> int:
    """The number of things that can get a code word of their own."""
    return min(len(_words(CODED, 0)), len(_words(CODE_WORDS, 1)))


def questions(seed: int, items: int) -> tuple[list[Question], list[Question]]:
    """(training questions, test questions) about `items` things, at most `most_items()`, with a code word each.

    Of every thing, `TRAINED_PHRASINGS` are training data and the other phrasings are tested.
    """
    rng = random.Random(row_seed(seed, "code"))
    coded = rng.sample(_words(CODED, 0), items)
    code_words = rng.sample(_words(CODE_WORDS, 1), items)
    train: list[Question] = []
    test: list[Question] = []
    for item, word in zip(coded, code_words, strict=True):
        asked = [
            Question(item, phrasing.format(x=item), sentence(word))
            for phrasing in rng.sample(PHRASINGS, len(PHRASINGS))
        ]
        train += asked[:TRAINED_PHRASINGS]
        test += asked[TRAINED_PHRASINGS:]
    return train, test


def _words(tables: tuple[str, ...], side: int) -> list[str]:
    return sorted({pair[side] for table in tables for pair in pairs(table)})
