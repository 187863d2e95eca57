"""Arms that are averages of others: the share of every model, and the words for it."""

import math
from collections.abc import Mapping

BASE = "base"  # reserved: no arm is called so
NEARLY = 1e-9  # what the rounding of floats may add to a sum of shares


def all_shares(merge: Mapping[str, float]) -> dict[str, float]:
    """The share of every model in an average, by name: arms with a share above 0, and `base` with what they leave.

    `merge`: `arms.<name>.merge`. The shares sum to 1; one that is not exactly 0 or 1 takes arithmetic.
    """
    rest = 1 - math.fsum(merge.values())
    arms = {name: share for name, share in sorted(merge.items()) if share > 0}
    if rest > NEARLY:
        return arms | {BASE: rest}
    return arms if len(arms) > 1 else dict.fromkeys(arms, 1.0)


def in_words(merge: Mapping[str, float]) -> str:
    """`0.5 rehearsed + 0.5 base`."""
    return " + ".join(f"{share:.6g} {name}" for name, share in all_shares(merge).items())
