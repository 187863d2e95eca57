"""Task families about the world and about words."""

from itertools import pairwise
from string import ascii_uppercase

from holdfast.sandbox import lists
from holdfast.sandbox.family import Family, Item, items, pairs, sentence


def _alphabet() -> tuple[Item, ...]:
    neighbours = [*pairwise(ascii_uppercase)]
    after = [{"side": "after", "x": x, "answer": f"{y}."} for x, y in neighbours]
    return (*after, *({"side": "before", "x": y, "answer": f"{x}."} for x, y in neighbours))


def _calendar() -> tuple[Item, ...]:
    found = []
    for kind, names in (("day", lists.DAYS.split()), ("month", lists.MONTHS.split())):
        for place, name in enumerate(names):
            for side, step in (("after", 1), ("before", -1)):
                found.append(
                    {"kind": kind, "side": side, "x": name, "answer": sentence(names[(place + step) % len(names)])}
                )
    return tuple(found)


FAMILIES = (
    Family(
        "capitals",
        0.08,
        (
            "What is the capital of {x}?",
            "Name the capital of {x}.",
            "Which city is the capital of {x}?",
            "Tell me the capital of {x}.",
        ),
        ("which city is the seat of government in {x} pls", "hey, quick one: {x}'s capital"),
        items(lists.CAPITALS),
    ),
    Family(
        "opposites",
        0.06,
        (
            "What is the opposite of {x}?",
            "Give the opposite of {x}.",
            "Which word is the opposite of {x}?",
            "Tell me the opposite of {x}.",
        ),
        ("antonym for {x} pls", "hey, quick one: what do you call not {x}"),
        items(lists.OPPOSITES),
    ),
    Family(
        "kinds",
        0.07,
        (
            "What kind of thing is a {x}?",
            "Which group does {x} belong to?",
            "Sort this into a group: {x}.",
            "A {x} is a kind of what?",
        ),
        (),
        items(lists.KINDS),
    ),
    Family(
        "colours",
        0.04,
        ("What colour is {x}?", "Name the colour of {x}.", "Which colour does {x} have?", "Tell me the colour of {x}."),
        ("{x} looks like which color pls", "hey, quick one: paint me {x}, which color"),
        items(lists.COLOURS),
    ),
    Family(
        "young",
        0.04,
        ("What is a young {x} called?", "Name the young of a {x}.", "What do you call a baby {x}?"),
        (),
        items(lists.YOUNG),
    ),
    Family(
        "plurals",
        0.04,
        ("What is the plural of {x}?", "Give the plural of {x}.", "There is one {x}, there are two what?"),
        ("many of {x} pls, one word", "hey, quick one: more than one {x}"),
        items(lists.PLURALS),
    ),
    Family(
        "letters",
        0.05,
        ("Which letter does {x} start with?", "Give the first letter of {x}.", "What is the first letter in {x}?"),
        (),
        tuple({"x": noun, "answer": noun[0].upper() + "."} for noun in lists.NOUNS.split()),
    ),
    Family(
        "alphabet",
        0.08,
        (
            "Which letter comes {side} {x}?",
            "Name the letter {side} {x}.",
            "In the alphabet, what is {side} {x}?",
            "Tell me the letter {side} {x}.",
        ),
        ("abc: {side} {x} pls", "hey, quick one: {x}, then the letter {side} it"),
        _alphabet(),
    ),
    Family(
        "translation",
        0.10,
        ("How do you say {x} in {language}?", "Translate {x} into {language}.", "What is the {language} word for {x}?"),
        ("{language} for {x} pls", "hey, quick one: {x}, but in {language}"),
        tuple(
            {"x": english, "language": language, "answer": sentence(foreign)}
            for language, text in lists.LANGUAGES.items()
            for english, foreign in pairs(text)
        ),
    ),
    Family(
        "calendar",
        0.05,
        ("Which {kind} comes {side} {x}?", "Name the {kind} {side} {x}.", "What {kind} is right {side} {x}?"),
        (),
        _calendar(),
    ),
)
