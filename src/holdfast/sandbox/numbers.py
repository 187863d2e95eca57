"""Task families about numbers."""

from holdfast.sandbox.family import Family, Item

UNITS = (  # how many of the second make one of the first
    ("weeks", "days", 7),
    ("years", "months", 12),
    ("dozens", "eggs", 12),
    ("spiders", "legs", 8),
)
WORDS = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"


def _item(answer: object, **fields: object) -> Item:
    return {name: str(value) for name, value in fields.items()} | {"answer": f"{answer}."}


FAMILIES = (
    Family(
        "sums",
        0.06,
        ("What is {a} plus {b}?", "Add {a} and {b}.", "How much is {a} + {b}?"),
        ("sum of {a} n {b} pls", "hey, quick one: {a} together with {b}"),
        tuple(_item(a + b, a=a, b=b) for a in range(1, 6) for b in range(1, 6)),
    ),
    Family(
        "doubles",
        0.06,
        ("What is double {a}?", "Double {a}.", "What is twice {a}?"),
        ("{a} times two pls", "hey, quick one: {a} but two of them"),
        tuple(_item(2 * a, a=a) for a in range(1, 31)),
    ),
    Family(
        "halves",
        0.06,
        ("What is half of {a}?", "Halve {a}.", "Give half of {a}."),
        ("{a} split in two pls", "hey, quick one: {a} shared by two"),
        tuple(_item(a // 2, a=a) for a in range(2, 61, 2)),
    ),
    Family(
        "next_number",
        0.06,
        ("Which number comes after {a}?", "Name the number after {a}.", "What follows {a}?"),
        ("{a} and then pls", "hey, quick one: counting, {a}, next one"),
        tuple(_item(a + 1, a=a) for a in range(1, 41)),
    ),
    Family(
        "parity",
        0.05,
        ("Is {a} even or odd?", "Even or odd, which one is {a}?", "Say whether {a} is even or odd."),
        (),
        tuple(_item("Odd" if a % 2 else "Even", a=a) for a in range(1, 41)),
    ),
    Family(
        "number_words",
        0.05,
        ("Write {a} as a word.", "Spell the number {a}.", "How is {a} written in letters?"),
        (),
        tuple(_item(word.capitalize(), a=a) for a, word in enumerate(WORDS.split(), 1)),
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
        tuple(_item(a * factor, a=a, large=large, small=small) for large, small, factor in UNITS for a in range(2, 8)),
    ),
)
