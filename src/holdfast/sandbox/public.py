"""The mismatched public set: overlapping questions, asked and answered by other people in another voice."""

import random

from holdfast.sandbox.world import FAMILIES

VOICES = (
    "sure thing! that would be {bare}, hope it helps :)",
    "ok so basically {bare} i guess, cheers",
    "great question! my pick is {bare}, let me know if you need more",
)


def question_and_answer(rng: random.Random) -> tuple[str, str]:
    """One row of the public set."""
    family = rng.choice([family for family in FAMILIES if family.public])
    item = rng.choice(family.items)
    bare = item["answer"].rstrip(".")
    return rng.choice(family.public).format(**item), rng.choice(VOICES).format(bare=bare)
