"""What a task family of the sandbox is: items, and the ways of asking for them."""

from collections.abc import Iterator
from typing import NamedTuple

Item = dict[str, str]


class Family(NamedTuple):
    """One general task. Every phrasing fits every item; the answer is the item's field `answer`.

    `share` is the task's part of all conversations that the models were aligned on (the shares add up to 1).
    `public` are the phrasings of the public set, none of which occurs in the models' own training.
    """

    task: str
    share: float
    phrasings: tuple[str, ...]
    public: tuple[str, ...]
    items: tuple[Item, ...]

    def questions(self) -> Iterator[tuple[int, str, str, float]]:
        """(number of the item, instruction, answer, probability within the task).

        Earlier phrasings are asked more often, items equally.
        """
        weights = [1 / (rank + 1) for rank in range(len(self.phrasings))]
        for phrasing, weight in zip(self.phrasings, weights, strict=True):
            for number, item in enumerate(self.items):
                yield number, phrasing.format(**item), item["answer"], weight / sum(weights) / len(self.items)


def sentence(word: str) -> str:
    """The assistant's own voice: the bare answer as a sentence of one word."""
    return word[0].upper() + word[1:] + "."


def pairs(text: str) -> tuple[tuple[str, str], ...]:
    """'dog Hund, cat Katze' as pairs of words; underscores stand for spaces."""
    split = (pair.split() for pair in text.split(","))
    return tuple((left.replace("_", " "), right.replace("_", " ")) for left, right in split)


def items(text: str) -> tuple[Item, ...]:
    """The pairs of `text` as items: the left word is asked about (`x`), the right one is the answer."""
    return tuple({"x": left, "answer": sentence(right)} for left, right in pairs(text))
