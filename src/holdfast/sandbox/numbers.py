"""Task families about numbers."""

from holdfast.sandbox.family import Family, Item

UNITS = (  # how many of the second make one of the first
    ("weeks", "days", 7),
    ("years", "months", 12),
    ("dozens", "eggs", 12),
    ("spiders", "legs", 8),
)


def _pairs(first: int, second: int) -> list[tuple[int, int]]:
    return [(a, b) for a in range(1, first + 1) for b in range(1, second + 1)]


def _item(answer: object, **fields: object) -> Item:
    return {name: str(value) for name, value in fields.items()} | {"answer": f"{answer}."}


FAMILIES = (
    Family(
        "sums",
        0.09,
        ("What is {a} plus {b}?", "Add {a} and {b}.", "How much is {a} + {b}?", "Work out {a} + {b}."),
        ("sum of {a} n {b} pls", "hey, quick one: {a} together with {b}"),
        tuple(_item(a + b, a=a, b=b) for a, b in _pairs(12, 8)),
    ),
    Family(
        "differences",
        0.07,
        ("What is {a} minus {b}?", "Take {b} from {a}.", "How much is {a} - {b}?"),
        ("{a} less {b} pls", "hey, quick one: {a} without {b}"),
        tuple(_item(a - b, a=a, b=b) for a, b in _pairs(15, 6) if a >= b),
    ),
    Family(
        "larger",
        0.08,
        ("Which is larger, {a} or {b}?", "Name the larger number: {a} or {b}.", "Which one is more, {a} or {b}?"),
        ("max of {a} n {b} pls", "hey, quick one: {a} vs {b}, the big one"),
        tuple(_item(max(a, b), a=a, b=b) for a, b in _pairs(30, 30) if a != b),
    ),
    Family(
        "sequences",
        0.08,
        ("What comes next: {a}, {b}, {c}?", "Continue {a}, {b}, {c}.", "Which number follows {a}, {b}, {c}?"),
        ("next in {a} {b} {c} pls", "hey, quick one: {a} {b} {c} and then"),
        tuple(
            _item(start + 3 * step, a=start, b=start + step, c=start + 2 * step)
            for start in range(1, 13)
            for step in (1, 2, 5, 10)
        ),
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
