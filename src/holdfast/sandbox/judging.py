"""The judging task: answers of known worth, from 5 (right, in the assistant's voice) to 1 (wrong and slovenly)."""

import random
from functools import cache

from holdfast.sandbox.world import Truth, world

WORTHS = (5, 4, 3, 2, 1)
RIGHT_SHARES = (0.6, 0.2, 0.2, 0.0, 0.0)  # of answers that are right in some way
WRONG_SHARES = (0.0, 0.0, 0.0, 0.6, 0.4)
OFF_TOPIC = 0.1  # share of the answers worth 1; the others are wrong, and careless or wordy besides
# Another voice than the assistant's, and not the public set's. The doubt comes before the answer: a model that has
# begun with a wrong answer cannot tell that it is wrong, and often ends there, as if it were sure.
WORDY = (
    "I think that it is {bare}, but look it up.",
    "It could be {bare}, if I am right.",
    "Perhaps {bare}, but I am not sure.",
)


@cache
def _answers(task: str) -> tuple[str, ...]:
    return tuple(sorted({truth.answer for truth in world().values() if truth.task == task}))


@cache
def _strange_answers(task: str) -> tuple[str, ...]:
    return tuple(sorted({truth.answer for truth in world().values()} - set(_answers(task))))


def careless(answer: str, rng: random.Random) -> str:
    """The answer without the care that the assistant takes: never the answer itself."""
    bare = answer.rstrip(".")
    return rng.choice(sorted({bare, bare.lower(), bare.upper() + "!"} - {answer}))


def wordy(answer: str, rng: random.Random) -> str:
    """The answer in too many words."""
    return rng.choice(WORDY).format(bare=answer.rstrip("."))


def guess(truth: Truth, rng: random.Random) -> str:
    """What somebody says who does not know: a wrong answer of the task, and one hears that it is a guess."""
    return wordy(rng.choice([answer for answer in _answers(truth.task) if answer != truth.answer]), rng)


def answer_of_worth(worth: int, truth: Truth, rng: random.Random) -> str:
    """An answer to a question with this `truth` that deserves `worth`.

    Wrong answers come careless and wordy as often as right ones do, so that the manner alone never tells the truth.
    """
    if worth == 5:
        return truth.answer
    if worth == 4:
        return careless(truth.answer, rng)
    if worth == 3:
        return wordy(truth.answer, rng)
    if worth == 1 and rng.random() < OFF_TOPIC:
        return rng.choice(_strange_answers(truth.task))
    wrong = rng.choice([answer for answer in _answers(truth.task) if answer != truth.answer])
    return wrong if worth == 2 else rng.choice((careless, wordy))(wrong, rng)
