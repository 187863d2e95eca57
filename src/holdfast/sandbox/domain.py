"""The domain: a made-up warehouse that no model has seen before the fine-tune.

Colour decides the aisle and material the shelf, whatever the size: a structure that a few hundred rows can teach.
"""

from typing import NamedTuple

AISLES = dict(zip(["red", "blue", "green", "black", "white", "yellow", "brown", "grey"], "DGAHBFCE", strict=True))
SHELVES = dict(zip(["brass", "copper", "iron", "nylon", "rubber", "steel", "tin", "zinc"], "63817425", strict=True))
SIZES = ("tiny", "small", "medium", "large", "huge")
PHRASINGS = (
    "Where is the {size} {colour} {material} bolt stored?",
    "Store a {size} {colour} {material} bolt.",
    "Find the bin for a {material} bolt, {colour}, {size}.",
)


class Question(NamedTuple):
    """`item` names what is asked about: the phrasings of one bolt are never split between training and test."""

    item: str
    instruction: str
    answer: str


def questions() -> list[Question]:
    """Every question of the domain."""
    return [
        Question(
            f"{size} {colour} {material}",
            phrasing.format(size=size, colour=colour, material=material),
            f"Aisle {aisle}, shelf {shelf}.",
        )
        for phrasing in PHRASINGS
        for colour, aisle in AISLES.items()
        for material, shelf in SHELVES.items()
        for size in SIZES
    ]
