"""How many instructions there will be once the base model was sampled again, from the table that is there.

Distinct instructions grow more slowly than samples. How much more slowly is told by how often each was drawn so far:
their frequencies are taken as gamma distributed, so that the times that each is drawn are negative binomial, and those
never drawn are left out (Efron & Thisted 1976, doi:10.1093/biomet/63.3.435, section 3).
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import polars as pl

ASSUMED_KEPT = 0.8  # of the samples become instructions, where nothing was ever sampled


class Forecast(NamedTuple):
    """Expected instructions after `clean`; how many of them are in the present table; and what that rests on."""

    instructions: float
    known: float
    basis: str


def forecast(counts: pl.Series | None, before: int, draws: int, stay: int) -> Forecast:
    """For `draws` samples, of which `stay` have been drawn before.

    `counts`: of each instruction of the present table, how many of the `before` samples it came from; None: no table.
    The share of samples that are faulty or contaminated is expected to stay.
    """
    if counts is None or not len(counts) or not before:
        return Forecast(draws * ASSUMED_KEPT, 0.0, f"assumed: {ASSUMED_KEPT:.0%} of the samples become instructions")
    basis = f"instructions: by how often each of the present {len(counts):,} was sampled"
    shape, mean = fitted(counts)
    times = draws / before
    total = len(counts) * _seen(shape, mean, times) / _seen(shape, mean, 1.0)
    if stay >= min(draws, before):
        return Forecast(total, min(total, len(counts)), basis)
    missed = (shape + mean) / (shape + mean * (1 + times))  # to the power of shape + count: not drawn again
    return Forecast(total, min(total, float((1 - missed ** (shape + counts)).sum())), basis)


def fitted(counts: pl.Series) -> tuple[float, float]:
    """Shape and mean of the negative binomial, without its zeros, that fits the counts best; from a grid."""
    grouped = list(counts.alias("times").value_counts(name="number").iter_rows())
    return max(_grid(), key=lambda point: _log_likelihood(grouped, *point))


def _grid() -> Iterator[tuple[float, float]]:
    for i in range(40):
        for j in range(60):
            yield math.exp(-4 + i / 5), math.exp(-7 + j / 5)


def _seen(shape: float, mean: float, times: float) -> float:
    """Probability that one is drawn at all, with `times` as many samples."""
    return -math.expm1(-shape * math.log1p(mean * times / shape))


def _log_likelihood(grouped: list[tuple[int, int]], shape: float, mean: float) -> float:
    seen = math.log(_seen(shape, mean, 1.0))
    more, none = math.log(mean / (shape + mean)), -shape * math.log1p(mean / shape)
    return sum(
        number * (math.lgamma(shape + times) - math.lgamma(shape) - math.lgamma(times + 1) + none + times * more - seen)
        for times, number in grouped
    )
