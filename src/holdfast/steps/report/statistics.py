"""Statistics of paired accuracies, by SciPy and statsmodels where they have them; every formula names its source."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """A two-sided confidence interval."""

    low: float
    high: float


def wilson(correct: float, n: int, confidence: float) -> Interval:
    """Interval of a proportion `correct / n`: Wilson (1927), J. Am. Stat. Assoc. 22, 209-212. n must be positive."""
    assert 0 <= correct <= n
    assert n > 0
    low, high = proportion_confint(correct, n, alpha=1 - confidence, method="wilson")
    return Interval(float(low), float(high))


def paired_bootstrap(differences: Floats, confidence: float, resamples: int, seed: int) -> Interval:
    """Interval of the mean of per-item differences (items): Efron & Tibshirani (1993), "An Introduction to the
    Bootstrap", ch. 13, percentile interval over resampled items.

    Differences of right and wrong take few values, so a resample is one multinomial draw of how often each occurs:
    the same distribution as drawing item by item, without n x resamples numbers.
    """
    n = len(differences)
    assert n > 0
    values, counts = np.unique(differences, return_counts=True)
    generator = np.random.default_rng(seed)
    block = max(1, 4_000_000 // len(values))  # bounds memory when every difference is another value
    means = np.concatenate(
        [
            generator.multinomial(n, counts / n, min(block, resamples - i)) @ values / n
            for i in range(0, resamples, block)
        ]
    )
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))


def paired_score(forgotten: float, learned: float, n: int, confidence: float) -> Interval:
    """Interval of the difference `(learned - forgotten) / n` of two paired proportions: Tango (1998), Stat. Med. 17,
    891-908, equations 24 to 26. Unlike the bootstrap it keeps its coverage when few items, or none, changed.

    Counts that are means over several runs on the same items may be fractions. They make the interval too wide rather
    than too narrow for the items: an item's mean change varies at most as much as one run's change of it (Jensen).
    """
    assert min(forgotten, learned) >= 0
    assert n > 0
    assert forgotten + learned <= n * (1 + 1e-12)
    z2 = stats.norm.ppf((1 + confidence) / 2) ** 2
    observed = (learned - forgotten) / n

    def excess(delta: float) -> float:
        """Squared score statistic at `delta` less its critical value, times the variance (no division by zero)."""
        b = -learned - forgotten + (2 * n - learned + forgotten) * delta
        root = np.sqrt(max(0.0, b * b + 8 * n * forgotten * delta * (1 - delta)))
        only_first = (root - b) / (4 * n)  # likeliest share forgotten, given the difference delta
        variance = n * max(0.0, 2 * only_first + delta * (1 - delta))
        return float((learned - forgotten - n * delta) ** 2 - z2 * variance)

    inside = 1e-9  # at `observed` itself both terms vanish when no item changed
    low = -1.0 if excess(-1) <= 0 else optimize.brentq(excess, -1, observed - inside, xtol=1e-12)
    high = 1.0 if excess(1) <= 0 else optimize.brentq(excess, observed + inside, 1, xtol=1e-12)
    return Interval(float(low), float(high))


def mcnemar_exact(forgotten: float, learned: float) -> float:
    """Two-sided p of "as likely forgotten as learned", from the binomial: McNemar (1947), Psychometrika 12, 153-157.

    Counts that are means over several runs are rounded towards each other, so that p is never too small.
    """
    fewer, more = math.ceil(min(forgotten, learned)), math.floor(max(forgotten, learned))
    return float(min(1.0, mcnemar([[0, fewer], [more, 0]], exact=True).pvalue))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for several tests: Holm (1979), Scand. J. Stat. 6, 65-70."""
    return [float(p) for p in multipletests(p_values, method="holm")[1]] if len(p_values) else []


class Crossed(NamedTuple):
    """Mean difference over training seeds and items, and what is known of it."""

    interval: Interval
    p: float
    seed_sd: float  # standard deviation between seeds of the mean over items: the noise floor of one run


def crossed(differences: Floats, confidence: float) -> Crossed:
    """Interval and p of the mean of `differences` (seeds x items), both drawn at random from more of their kind.

    Every seed answers the same items, so seeds and items are crossed: variance components of the two-way layout with
    one observation in a cell, Searle, Casella & McCulloch (1992), "Variance Components", ch. 4; degrees of freedom by
    Satterthwaite (1946), Biometrics Bull. 2, 110-114. Needs two seeds and two items. It knows no more than the spread
    that it sees: where few items changed, the same ones in every seed, it is too narrow, and a point where none did.
    """
    seeds, items = differences.shape
    assert min(seeds, items) > 1
    mean = differences.mean()
    by_seed, by_item = differences.mean(axis=1), differences.mean(axis=0)
    residual = differences - by_seed[:, None] - by_item[None, :] + mean
    df = np.array([seeds - 1, items - 1, (seeds - 1) * (items - 1)])
    squares = np.array(
        [items * ((by_seed - mean) ** 2).sum(), seeds * ((by_item - mean) ** 2).sum(), (residual**2).sum()]
    )
    mean_squares = squares / df / (seeds * items)
    # var(mean) = (MS_seed + MS_item - MS_rest) / (seeds x items); an estimate below one of its parts is chance
    variance = max(mean_squares[0] + mean_squares[1] - mean_squares[2], mean_squares[0], mean_squares[1])
    seed_sd = float(by_seed.std(ddof=1))
    if variance <= 0:
        return Crossed(Interval(float(mean), float(mean)), 1.0 if mean == 0 else 0.0, seed_sd)
    freedom = max(variance**2 / (mean_squares**2 / df).sum(), seeds - 1)
    half = stats.t.ppf((1 + confidence) / 2, freedom) * np.sqrt(variance)
    p = 2 * stats.t.sf(abs(mean) / np.sqrt(variance), freedom)
    return Crossed(Interval(float(mean - half), float(mean + half)), float(p), seed_sd)
