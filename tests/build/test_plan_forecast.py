"""How many instructions there will be, from how often each was sampled."""

import random

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.build.plan_forecast import ASSUMED_KEPT, forecast

COUNTS = st.lists(st.integers(1, 30), min_size=1, max_size=200).map(pl.Series)


@given(COUNTS, st.integers(0, 50))
def test_as_many_samples_as_there_are_change_nothing(counts: pl.Series, rejected: int) -> None:
    before = int(counts.sum()) + rejected
    found = forecast(counts, before, before, before)
    assert found.instructions == pytest.approx(len(counts))
    assert found.known == pytest.approx(len(counts))


@given(COUNTS, st.integers(1, 10_000), st.integers(1, 10_000), st.booleans())
def test_more_samples_give_more_instructions_but_not_more_than_samples(
    counts: pl.Series, one: int, other: int, stay: bool
) -> None:
    before = int(counts.sum())
    fewer, more = (forecast(counts, before, draws, min(draws, before) if stay else 0) for draws in sorted((one, other)))
    assert 0 <= fewer.known <= fewer.instructions <= more.instructions * (1 + 1e-9)
    assert more.instructions <= max(one, other, len(counts)) * 1.001 + 1


def test_without_a_table_it_is_an_assumption() -> None:
    assert forecast(None, 0, 1000, 0)[:2] == (1000 * ASSUMED_KEPT, 0.0)


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_a_part_of_the_samples_tells_the_whole(share: float) -> None:
    """Frequencies like a language model's: a few instructions come often, most of them rarely."""
    chance = random.Random(0)
    world = list(range(2000))
    weights = [1 / (rank + 10) for rank in world]
    draws = chance.choices(world, weights, k=3000)
    part = pl.Series(draws[: round(3000 * share)]).value_counts()["count"]
    found = forecast(part, round(3000 * share), 3000, round(3000 * share))
    assert found.instructions == pytest.approx(len(set(draws)), rel=0.15)
    again = set(chance.choices(world, weights, k=3000))
    there = set(draws[: round(3000 * share)])
    fresh = forecast(part, round(3000 * share), 3000, 0)
    assert fresh.known == pytest.approx(len(again & there), rel=0.15)
