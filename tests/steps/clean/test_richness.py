"""Species richness: published examples, limits, and a distribution that is known."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.steps.clean.richness import coverage, growth, unseen


def counts(*frequencies: tuple[int, int]) -> np.ndarray:
    """(how often, how many species) pairs as one count per species."""
    return np.concatenate([np.full(number, often, dtype=np.int64) for often, number in frequencies])


def test_worked_example() -> None:
    # n = 20, S = 9, f1 = 4, f2 = 2: Chao1 adds 19/20 * 16/4; coverage 1 - 4/20 * 76/80; by hand
    found = counts((1, 4), (2, 2), (4, 3))
    assert found.sum() == 20
    assert unseen(found) == pytest.approx(3.8)
    assert coverage(found) == pytest.approx(0.81)


def test_rarefaction_by_hand() -> None:
    # two species, 2 and 1 individuals; two draws without replacement: 1 + P(different) = 1 + 2/3
    assert growth(counts((2, 1), (1, 1)), 2) == pytest.approx(5 / 3)


def test_limits() -> None:
    assert (coverage(counts((3, 5))), unseen(counts((3, 5)))) == (1.0, 0.0)
    assert coverage(counts((1, 5))) == 0.0
    nothing = np.zeros(0, dtype=np.int64)
    assert (coverage(nothing), unseen(nothing), growth(nothing, 0)) == (0.0, 0.0, 0.0)


def test_against_a_known_distribution() -> None:
    chance = np.random.default_rng(0)
    shares = 1 / np.arange(1, 2001)
    shares /= shares.sum()
    errors, forecasts = [], []
    for _ in range(20):
        twice = chance.choice(2000, 4000, p=shares)
        once = np.unique(twice[:2000], return_counts=True)
        errors.append(coverage(once[1]) - shares[once[0]].sum())
        forecasts.append(growth(once[1], 4000) / len(np.unique(twice)))
    assert abs(np.mean(errors)) < 0.01
    assert abs(np.mean(forecasts) - 1) < 0.05


@given(st.lists(st.integers(1, 6), min_size=2, max_size=40))
@settings(max_examples=100, deadline=None)
def test_growth_never_falls_and_meets_what_was_seen(found: list[int]) -> None:
    drawn = np.array(found, dtype=np.int64)
    n = int(drawn.sum())
    curve = [growth(drawn, draws) for draws in (1, n // 2 + 1, n, n + 1, 2 * n)]
    assert curve[0] == pytest.approx(1.0)
    assert curve[2] == pytest.approx(len(drawn))
    assert all(later >= earlier - 1e-9 for earlier, later in pairwise(curve))
    assert 0 <= coverage(drawn) <= 1
