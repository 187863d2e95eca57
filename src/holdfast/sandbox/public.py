"""The mismatched public set: overlapping questions, asked and answered by other people, who are often wrong."""

import random

from holdfast.common.ids import row_seed
from holdfast.sandbox.family import Family
from holdfast.sandbox.world import FAMILIES

MISTAKEN_SHARE = 0.3  # share of the items about which the public is wrong, in the same way whenever it is asked
VOICES = ("{lower}", "{lower} :)", "{upper}!")  # normalised matching ignores this; `exact` would not


def question_and_answer(rng: random.Random, seed: int) -> tuple[str, str]:
    """One row of the public set. `seed` decides what the public is wrong about."""
    family = rng.choice([family for family in FAMILIES if family.public])
    number = rng.randrange(len(family.items))
    bare = believed(family, number, seed).rstrip(".")
    question = rng.choice(family.public).format(**family.items[number])
    return question, rng.choice(VOICES).format(lower=bare.lower(), upper=bare.upper())


def believed(family: Family, number: int, seed: int) -> str:
    """The answer that the public gives about an item: the right one, or another answer of the family."""
    right = family.items[number]["answer"]
    rng = random.Random(row_seed(seed, "public belief", family.task, number))
    if rng.random() >= MISTAKEN_SHARE:
        return right
    return rng.choice(sorted({item["answer"] for item in family.items} - {right}))
