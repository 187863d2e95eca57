"""The sandbox's true world: every general instruction, its task, its right answer and how often it is asked.

The world is finite and small enough to be a table, so that "is this instruction in the world" has an exact answer.
"""

from functools import cache
from typing import NamedTuple

from holdfast.sandbox import numbers, words
from holdfast.tables import row_seed

FAMILIES = words.FAMILIES + numbers.FAMILIES


class Truth(NamedTuple):
    """`probability`: the share of all user turns that the models were aligned on."""

    task: str
    answer: str
    probability: float


@cache
def world() -> dict[str, Truth]:
    """Instruction -> truth, for every instruction of the general world. The probabilities add up to 1."""
    found: dict[str, Truth] = {}
    for family in FAMILIES:
        for instruction, answer, probability in family.questions():
            assert instruction not in found, f"two items ask {instruction!r}"
            found[instruction] = Truth(family.task, answer, probability * family.share)
    return found


def judge_truth(instruction: str) -> tuple[str, str] | None:
    """(task, right answer) of an instruction of the true world, None outside. White space around it is ignored."""
    truth = world().get(instruction.strip())
    return None if truth is None else (truth.task, truth.answer)


def held_out(seed: int, share: float, most: int) -> frozenset[str]:
    """The instructions kept for the test suite: of each task this share, at most `most`, chosen by a hash."""
    by_task: dict[str, list[str]] = {}
    for instruction, truth in world().items():
        by_task.setdefault(truth.task, []).append(instruction)
    chosen: list[str] = []
    for instructions in by_task.values():
        instructions.sort(key=lambda instruction: row_seed(seed, "held out", instruction))
        chosen += instructions[: min(most, round(share * len(instructions)))]
    return frozenset(chosen)
