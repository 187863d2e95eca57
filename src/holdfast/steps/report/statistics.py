"""Intervals and tests for proportions and paired changes, by SciPy and statsmodels where they have them.

Every formula names its source. Clustered items: `clusters.py`.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """A two-sided confidence interval."""

    low: float
    high: float


def normal_quantile(confidence: float) -> float:
    """Half width of a two-sided interval at `confidence`, in standard errors, where their size is known."""
    return float(stats.norm.ppf((1 + confidence) / 2))


def t_quantile(confidence: float, freedom: float) -> float:
    """Half width of a two-sided interval at `confidence`, in standard errors estimated with `freedom` degrees."""
    return float(stats.t.ppf((1 + confidence) / 2, freedom))


def wilson(correct: float, n: float, confidence: float) -> Interval:
    """Interval of a proportion `correct / n`: Wilson (1927), J. Am. Stat. Assoc. 22, 209-212. n must be positive."""
    assert 0 <= correct <= n * (1 + 1e-12)
    assert n > 0
    low, high = proportion_confint(min(correct, n), n, alpha=1 - confidence, method="wilson")
    return Interval(float(low), float(high))


def paired_score(forgotten: float, learned: float, n: float, confidence: float) -> Interval:
    """Interval of the difference `(learned - forgotten) / n` of two paired proportions: Tango (1998), Stat. Med. 17,
    891-908, equations 24 to 26. Unlike the bootstrap it keeps its coverage when few items, or none, changed.

    Counts may be fractions. As means over several runs on the same items they make the interval too wide rather than
    too narrow: an item's mean change varies at most as much as one run's change of it (Jensen's inequality).
    """
    assert min(forgotten, learned) >= 0
    assert n > 0
    assert forgotten + learned <= n * (1 + 1e-9)
    z2 = normal_quantile(confidence) ** 2
    observed = (learned - forgotten) / n

    def excess(delta: float) -> float:
        """Squared score statistic at `delta` less its critical value, times the variance (no division by zero)."""
        b = -learned - forgotten + (2 * n - learned + forgotten) * delta
        root = math.sqrt(max(0.0, b * b + 8 * n * forgotten * delta * (1 - delta)))
        only_first = (root - b) / (4 * n)  # likeliest share forgotten, given the difference delta
        variance = n * max(0.0, 2 * only_first + delta * (1 - delta))
        return (learned - forgotten - n * delta) ** 2 - z2 * variance

    inside = 1e-9  # at `observed` itself both terms vanish when no item changed
    low = -1.0 if excess(-1) <= 0 else optimize.brentq(excess, -1, observed - inside, xtol=1e-12)
    high = 1.0 if excess(1) <= 0 else optimize.brentq(excess, observed + inside, 1, xtol=1e-12)
    return Interval(float(low), float(high))


def margin(margins: Sequence[float]) -> float:
    """Distance from a sum of independent estimates to the end of its interval, from the estimates' own distances.

    Method of variance estimates recovery: Zou, Huang & Zhang (2009), Comput. Stat. Data Anal. 53, 1080-1085.
    """
    return math.hypot(*margins)


def sign_flip(changes: Floats, resamples: int, seed: int) -> float:
    """Two-sided p of "base and arm are exchangeable": the sign of every change is as likely plus as minus.

    `changes`: one value for each independent unit (an item, or the sum of a cluster), each with its weight in the
    mean. Fisher's randomisation test: Good (2005), "Permutation, Parametric and Bootstrap Tests", ch. 3. Where all
    changes have one size this is McNemar's exact test (1947, Psychometrika 12, 153-157); else the smallest p that
    `resamples` random sign patterns can give is 1 / (resamples + 1).
    """
    changed = changes[changes != 0]
    relative = np.abs(changed) / np.abs(changed).max(initial=0.0)
    sizes, index = np.unique(relative.round(12), return_inverse=True)
    if len(sizes) <= 1:
        learned = int((changes > 0).sum())
        return float(min(1.0, mcnemar([[0, int((changes < 0).sum())], [learned, 0]], exact=True).pvalue))
    counts = np.bincount(index)
    plus = np.random.default_rng(seed).binomial(counts, 0.5, (resamples, len(sizes)))
    sums, observed = (2 * plus - counts) @ sizes, np.sign(changed) @ sizes[index]
    as_far = int((np.abs(sums) >= abs(observed) - 1e-7).sum())  # sums that are equal but for rounding are as far
    return (as_far + 1) / (resamples + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for several tests: Holm (1979), Scand. J. Stat. 6, 65-70."""
    found = np.array(p_values, dtype=float)  # statsmodels' `multipletests` collects garbage in each call: 0.2 s
    order = np.argsort(found, kind="stable")
    found[order] = np.maximum.accumulate(found[order] * np.arange(len(found), 0, -1)).clip(max=1.0)
    return found.tolist()
