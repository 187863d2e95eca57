"""A summary of the faults of a file: one line per kind, with the places as ranges."""

import re
from collections.abc import Iterable

_SHOWN = 20


def summary(path: str, faults: Iterable[tuple[str, str]]) -> list[str]:
    """One line per kind of fault. `faults` are (place, fault) in the order of the file, a place is `line 3` or `row 3`.

    Faults that differ in numbers and quoted values only are of one kind; the first of them is shown.
    """
    kinds: dict[str, list[tuple[str, str]]] = {}
    for place, fault in faults:
        kinds.setdefault(re.sub(r'"[^"]*"?|\d+', "", fault), []).append((place, fault))
    lines = [_line(path, kind) for kind in list(kinds.values())[:_SHOWN]]
    more = len(kinds) - _SHOWN
    return lines + ([f"  … and {more:,} more kinds of fault"] if more > 0 else [])


def _line(path: str, kind: list[tuple[str, str]]) -> str:
    place, fault = kind[0]
    if len(kind) == 1:
        return f"  {path} {place}: {fault}"
    numbers = [int(place.split()[-1]) for place, _ in kind]
    return f"  {path} {place}: {fault} ({len(kind):,} rows: {place.split()[0]}s {_ranges(numbers)})"


def _ranges(numbers: list[int]) -> str:
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    shown = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in found[:_SHOWN])
    return shown + (", …" if len(found) > _SHOWN else "")
