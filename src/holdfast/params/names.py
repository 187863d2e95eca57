"""Faults in names that refer to others in params.yaml."""

import difflib
from collections.abc import Iterable, Iterator


def undefined(key: str, names: Iterable[str], known: Iterable[str], where: str) -> Iterator[str]:
    """A fault for each of `names` (at `key`) that is not among `known` (defined at `where`)."""
    known = set(known)
    for name in names:
        if name not in known:
            yield f"{key}: {name} is not defined in {where}{nearest(name, known)}"


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint to the known word that `word` is most like."""
    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; known: {', '.join(sorted(known))}"
