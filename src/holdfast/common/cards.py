"""Parts of Hugging Face dataset cards."""

from typing import Any


def licence_keys(licences: list[str]) -> dict[str, str]:
    """The keys of a card's YAML head that state the licence; `other` with a name where there are several or none."""
    if len(licences) == 1 and " " not in licences[0]:
        return {"license": licences[0].lower()}
    return {"license": "other", "license_name": " and ".join(licences) or "not stated"}


def size_category(rows: int) -> str:
    """The hub's name for the number of rows."""
    steps = [
        (1_000, "n<1K"),
        (10_000, "1K<n<10K"),
        (100_000, "10K<n<100K"),
        (1_000_000, "100K<n<1M"),
        (10_000_000, "1M<n<10M"),
    ]
    return next((name for bound, name in steps if rows < bound), "10M<n<100M")


def table(header: list[str], rows: list[list[Any]]) -> str:
    """A table in Markdown; whole numbers get separators of thousands."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in line) + " |" for line in lines
    )
