"""Shares of a total as whole numbers."""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import TypeVar

K = TypeVar("K", str, tuple[str, str])
NEARLY_WHOLE = 1e-9  # what the rounding of floats may take from a whole number


def shares(weights: Mapping[K, float], total: int) -> dict[K, int]:
    """`total` split by weight, as `largest_remainders`."""
    parts = {key: Fraction(weight) for key, weight in weights.items()}  # sums of floats depend on their order
    whole = sum(parts.values())
    return largest_remainders({key: total * part / whole for key, part in parts.items()})


def largest_remainders(exact: Mapping[K, float | Fraction]) -> dict[K, int]:
    """Each number rounded up or down such that their sum is the rounded sum: up for those with the largest remainders,
    the smaller key first where these are equal."""
    counts = {key: math.floor(number + NEARLY_WHOLE) for key, number in exact.items()}
    by_remainder = sorted(exact, key=lambda key: (counts[key] - exact[key], key))
    for key in by_remainder[: round(math.fsum(exact.values())) - sum(counts.values())]:
        counts[key] += 1
    return counts
