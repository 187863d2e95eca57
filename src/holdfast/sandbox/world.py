"""The sandbox's true world: every general instruction, its task, its right answer and how often it is asked.

The world is finite and small enough to be a table, so that "is this instruction in the world" has an exact answer.
"""

from functools import cache
from typing import NamedTuple

from holdfast.common.ids import row_seed
from holdfast.sandbox import numbers, words

FAMILIES = words.FAMILIES + numbers.FAMILIES


class Truth(NamedTuple):
    """`item`: what is asked about, however it is worded. `probability`: the share of all user turns that the models
    were aligned on."""

    task: str
    item: str
    answer: str
    probability: float


@cache
def world() -> dict[str, Truth]:
    """Instruction -> truth, for every instruction of the general world. The probabilities add up to 1."""
    found: dict[str, Truth] = {}
    for family in FAMILIES:
        for number, instruction, answer, probability in family.questions():
            assert instruction not in found, f"two items ask {instruction!r}"
            found[instruction] = Truth(family.task, f"{family.task} {number}", answer, probability * family.share)
    return found


def judge_truth(instruction: str) -> tuple[str, str] | None:
    """(task, right answer) of an instruction of the true world, None outside. White space around it is ignored."""
    truth = world().get(instruction.strip())
    return None if truth is None else (truth.task, truth.answer)


def held_out(seed: int, share: float, most: int) -> frozenset[str]:
    """The instructions kept for the test suite: of each task this share, at most `most`, chosen by a hash.

    Of no item more than one phrasing is kept, so that what is tested can be known from the others.
    """
    chosen: list[str] = []
    for family in FAMILIES:
        ways = [[phrasing.format(**item) for phrasing in family.phrasings] for item in family.items]
        one_each = [min(texts, key=lambda text: row_seed(seed, "phrasing", text)) for texts in ways]
        one_each.sort(key=lambda text: row_seed(seed, "held out", text))
        chosen += one_each[: min(most, round(share * len(family.items) * len(family.phrasings)))]
    return frozenset(chosen)
