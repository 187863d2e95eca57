"""Clusters of items that are not independent (questions on one passage): design effect and cluster bootstrap."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from holdfast.steps.report.statistics import Floats, Interval, normal_quantile, t_quantile

Codes = NDArray[np.int64]
PSEUDO_CLUSTERS = 0.5  # changed clusters that `design_effect` adds to the observed ones


def cluster_sums(values: Floats, clusters: Codes) -> tuple[Floats, Floats]:
    """(sum of `values`, number of items) of every cluster; `clusters`: the cluster of each item, as any integers."""
    _, index = np.unique(clusters, return_inverse=True)
    return np.bincount(index, values).astype(np.float64), np.bincount(index).astype(np.float64)


def largest_spread(low: Floats, high: Floats, sizes: Floats) -> float:
    """The most that sum((t - sizes x mean)^2), mean = sum(t) / sum(sizes), can be with every t within [low, high].

    Exact where low equals high, else an upper bound: the sum is convex in the mean, so the ends of the mean's own
    range are enough. It never falls when a range grows.
    """
    means = (low.sum() / sizes.sum(), high.sum() / sizes.sum())
    return max(float(np.maximum((low - sizes * mean) ** 2, (high - sizes * mean) ** 2).sum()) for mean in means)


def design_effect(low: Floats, high: Floats, clusters: Codes, confidence: float) -> float:
    """The number of items that carry as much information as one independent item, at least 1; infinite for one cluster.

    `low`, `high` (items): the least and the most that an ungraded item could be, the same for a graded one. The ratio
    of the cluster-robust variance of the mean (Liang & Zeger 1986, Biometrika 73, 13-22) to that of independent items,
    by which counts are divided: Rao & Scott (1992), Biometrics 48, 577-585. Two additions keep it from being too small.
    Half a cluster of typical size is added in which all items changed: where no item changed, the correlation within
    clusters is unknown, and then a cluster counts as one item. And Student's t with clusters - 1 degrees of freedom
    takes the place of the normal quantile. The effect never falls when an item becomes ungraded.
    """
    low_sums, sizes = cluster_sums(low, clusters)
    high_sums, _ = cluster_sums(high, clusters)
    count = len(sizes)
    if sizes.max() == 1:
        return 1.0
    if count == 1:
        return float("inf")
    typical = float((sizes**2).sum() / sizes.sum())
    between = largest_spread(low_sums, high_sums, sizes) + PSEUDO_CLUSTERS * typical**2
    graded = low[low == high]
    within = (float(((graded - graded.mean()) ** 2).sum()) if len(graded) else 0.0) + PSEUDO_CLUSTERS * typical
    few = count / (count - 1) * (t_quantile(confidence, count - 1) / normal_quantile(confidence)) ** 2
    return max(1.0, between / within * few)


def bootstrap(strata: Sequence[tuple[Floats, Floats]], confidence: float, resamples: int, seed: int) -> Interval:
    """Percentile interval of the mean over `strata` of each one's mean: Efron & Tibshirani (1993), "An Introduction to
    the Bootstrap", ch. 13; clusters are resampled whole, within their stratum: Davison & Hinkley (1997), "Bootstrap
    Methods and their Application", section 3.8.

    A stratum is (sum, number of items) of each of its clusters. These take few values, so a resample is one multinomial
    draw of how often each occurs: the same distribution as drawing one by one, with far fewer numbers.
    """
    generator = np.random.default_rng(seed)
    means = np.zeros(resamples)
    for sums, sizes in strata:
        values, counts = np.unique(np.stack([sums, sizes]), axis=1, return_counts=True)
        block = max(1, 4_000_000 // len(counts))  # bounds memory when every cluster is another value
        for start in range(0, resamples, block):
            drawn = generator.multinomial(counts.sum(), counts / counts.sum(), min(block, resamples - start))
            means[start : start + block] += (drawn @ values[0]) / (drawn @ values[1]) / len(strata)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))
