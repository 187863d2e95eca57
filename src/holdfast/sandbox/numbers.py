"""Task families about numbers."""

from holdfast.sandbox.family import Family, Item

UNITS = (  # how many of the second make one of the first
    ("weeks", "days", 7),
    ("years", "months", 12),
    ("dozens", "eggs", 12),
    ("spiders", "legs", 8),
)


def _item(answer: object, **fields: object) -> Item:
    return {name: str(value) for name, value in fields.items()} | {"answer": f"{answer}."}


FAMILIES = (
    Family(
        "sums",
        0.09,
        ("What is {a} plus {b}?", "Add {a} and {b}.", "How much is {a} + {b}?", "Work out {a} + {b}."),
        ("sum of {a} n {b} pls", "hey, quick one: {a} together with {b}"),
        tuple(_item(a + b, a=a, b=b) for a in range(1, 11) for b in range(1, 6)),
    ),
    Family(
        "differences",
        0.07,
        ("What is {a} minus {b}?", "Take {b} from {a}.", "How much is {a} - {b}?"),
        ("{a} less {b} pls", "hey, quick one: {a} without {b}"),
        tuple(_item(a - b, a=a, b=b) for a in range(6, 16) for b in range(1, 6)),
    ),
    Family(
        "larger",
        0.08,
        ("Which is larger, {a} or {b}?", "Name the larger number: {a} or {b}.", "Which one is more, {a} or {b}?"),
        ("max of {a} n {b} pls", "hey, quick one: {a} vs {b}, the big one"),
        tuple(_item(max(a, b), a=a, b=b) for a in range(1, 31) for b in range(1, 31) if a != b),
    ),
    Family(
        "parity",
        0.04,
        ("Is {a} even or odd?", "Even or odd, which one is {a}?", "Say whether {a} is even or odd."),
        (),
        tuple(_item("Odd" if a % 2 else "Even", a=a) for a in range(1, 41)),
    ),
    Family(
        "units",
        0.05,
        (
            "How many {small} are in {a} {large}?",
            "Convert {a} {large} to {small}.",
            "Give {a} {large} in {small}.",
        ),
        (),
        tuple(_item(a * factor, a=a, large=large, small=small) for large, small, factor in UNITS for a in range(2, 10)),
    ),
)
