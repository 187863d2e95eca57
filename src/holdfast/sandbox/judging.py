"""The judging task: answers of known worth, from 5 (right, in the assistant's voice) to 1 (beside the point)."""

import random
from functools import cache

from holdfast.sandbox.world import Truth, world

WORTHS = (5, 4, 3, 2, 1)
RIGHT_SHARES = (0.76, 0.1, 0.14, 0.0, 0.0)  # of answers that are right in some way
WRONG_SHARES = (0.0, 0.0, 0.0, 0.84, 0.16)
WORDY = (  # another voice than the assistant's; nor is it the public set's
    "I think that it is {bare}, but look it up.",
    "It could be {bare}, if I am right.",
    "{bare} is what people say.",
)


@cache
def _answers(task: str) -> tuple[str, ...]:
    return tuple(sorted({truth.answer for truth in world().values() if truth.task == task}))


@cache
def _strange_answers(task: str) -> tuple[str, ...]:
    return tuple(sorted({truth.answer for truth in world().values()} - set(_answers(task))))


def answer_of_worth(worth: int, truth: Truth, rng: random.Random) -> str:
    """An answer to a question with this `truth` that deserves `worth`."""
    bare = truth.answer.rstrip(".")
    if worth == 5:
        return truth.answer
    if worth == 4:
        careless = {bare, bare.lower(), bare.upper() + "!"} - {truth.answer}
        return rng.choice(sorted(careless))
    if worth == 3:
        return rng.choice(WORDY).format(bare=bare)
    if worth == 2:
        return rng.choice([answer for answer in _answers(truth.task) if answer != truth.answer])
    return rng.choice(_strange_answers(truth.task))
