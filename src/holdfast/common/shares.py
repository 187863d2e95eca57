"""Whole numbers that add up: a total split by weights."""

from collections.abc import Mapping
from fractions import Fraction


def shares(weights: Mapping[str, float], total: int) -> dict[str, int]:
    """`total` split by weight with largest remainders; ties go to the smaller key."""
    if not weights:
        return {}
    parts = {key: Fraction(weight) for key, weight in weights.items()}  # floats add up differently in another order
    whole = sum(parts.values())
    exact = {key: total * part / whole for key, part in parts.items()}
    counts = {key: int(share) for key, share in exact.items()}
    by_rest = sorted(exact, key=lambda key: (counts[key] - exact[key], key))
    for key in by_rest[: total - sum(counts.values())]:
        counts[key] += 1
    return counts
