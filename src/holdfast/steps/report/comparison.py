"""Accuracies and paired changes, over items and over suites, with bounds for ungraded items.

All figures are shares (0 to 1), not points. Figures of an arm with several training seeds are means over them.

An ungraded item could have been right or wrong. Intervals therefore reach from the low end of the least favourable
completion (wrong for the arm, right for the base) to the high end of the most favourable one: Manski (1989), J. Hum.
Resour. 24, 343-360. They never shrink, on either side, when an item becomes ungraded.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
from scipy import stats

from holdfast.common.ids import row_seed
from holdfast.steps.report.clusters import Codes, bootstrap, cluster_sums, design_effect, largest_spread
from holdfast.steps.report.params import Report
from holdfast.steps.report.statistics import Floats, Interval, margin, paired_score, sign_flip, t_quantile, wilson

Average = Literal["suites", "items"]
AVERAGES: tuple[Average, ...] = ("suites", "items")


class Stratum(NamedTuple):
    """Items with one mean (a suite, or all): the least and the greatest possible value of each cell (runs x items).

    `low` and `high` are equal where an item is graded. `clusters`: the cluster of each item.
    """

    low: Floats
    high: Floats
    clusters: Codes

    def mean_range(self) -> tuple[float, float]:
        """The least and the greatest possible mean."""
        return float(self.low.mean()), float(self.high.mean())

    def sums(self, side: str) -> tuple[Floats, Floats]:
        """(sum, number of items) of each cluster, means over runs; `side`: low or high."""
        return cluster_sums(getattr(self, side).mean(axis=0), self.clusters)


def parts(table: pl.DataFrame, average: Average) -> list[pl.DataFrame]:
    """The rows by what is averaged first: all of them, or those of each suite, by name."""
    return [table] if average == "items" else table.sort("suite", maintain_order=True).partition_by("suite")


def grade_bounds(table: pl.DataFrame, runs: Sequence[str]) -> tuple[Floats, Floats]:
    """The least and the greatest possible grades of `runs` (runs x items): 0 and 1 where an item is not graded."""
    found = [np.stack([table[run].fill_null(empty).to_numpy() for run in runs]) for empty in (0.0, 1.0)]
    return found[0], found[1]


def accuracy(table: pl.DataFrame, runs: list[str], confidence: float, average: Average) -> dict[str, Any]:
    """Mean accuracy of an arm's `runs` over graded items, its interval, and each run's accuracy (`by_seed`).

    The interval is Wilson's, with counts divided by the design effect of clusters, and combined over suites. `n`:
    items graded in all runs; `ungraded`: the others. Where a run has no graded item in a suite, nothing is measured.
    """
    n = len(table.select(runs).drop_nulls())
    found: dict[str, Any] = {"n": n, "ungraded": len(table) - n, "suite_count": table["suite"].n_unique()}
    strata = parts(table, average)
    by_seed = [_mean([part[run].mean() for part in strata]) for run in runs]
    if None in by_seed:
        return found | {"accuracy": None, "low": None, "high": None, "by_seed": []}
    lows, highs = [], []
    for part in strata:
        one = Stratum(*grade_bounds(part, runs), part["cluster"].to_numpy())
        n, effect = len(part), _effect(one, confidence)
        worst, best = one.mean_range()
        lows.append((worst, wilson(worst * n / effect, n / effect, confidence).low if np.isfinite(effect) else 0.0))
        highs.append((best, wilson(best * n / effect, n / effect, confidence).high if np.isfinite(effect) else 1.0))
    low, high = _bounds(lows, highs)
    return found | {"accuracy": _mean(by_seed), "low": max(0.0, low), "high": min(1.0, high), "by_seed": by_seed}


def _mean(values: Sequence[Any]) -> float | None:
    return None if None in values else float(np.mean(values))


def _effect(one: Stratum, confidence: float) -> float:
    return design_effect(one.low.mean(axis=0), one.high.mean(axis=0), one.clusters, confidence)


def _bounds(lows: list[tuple[float, float]], highs: list[tuple[float, float]], seeds: float = 0.0) -> Interval:
    """Interval of the mean of independent means, from each one's (least mean, low end) and (greatest mean, high end).

    `seeds`: the margin that training seeds add.
    """
    share = 1 / len(lows)
    low = share * sum(mean for mean, _ in lows) - margin([share * (mean - end) for mean, end in lows] + [seeds])
    high = share * sum(mean for mean, _ in highs) + margin([share * (end - mean) for mean, end in highs] + [seeds])
    return Interval(low, high)


def pairs(before: list[str], after: list[str]) -> list[tuple[str, str]]:
    """The pairs of runs to compare, by training seed; a single run is compared with every run of the other side."""
    seeds = max(len(before), len(after)) if min(len(before), len(after)) == 1 else min(len(before), len(after))
    return list(zip((before * seeds)[:seeds], (after * seeds)[:seeds], strict=True))


def change_ranges(table: pl.DataFrame, paired: list[tuple[str, str]]) -> Stratum:
    """The range of every item's change (runs x items) from the first run of each pair to the second."""
    before, after = (grade_bounds(table, runs) for runs in zip(*paired, strict=True))
    return Stratum(after[0] - before[1], after[1] - before[0], table["cluster"].to_numpy())


def change_bounds(strata: list[Stratum], confidence: float) -> Interval:
    """Interval of the mean over `strata` of the mean change: what verdicts go by.

    Within a stratum Tango's score interval of the counts (means over seeds), divided by the design effect of clusters;
    over strata, and with what training seeds add (Student's t over the seeds' means), by `margin`.
    """
    lows, highs = [], []
    for one in strata:
        n, effect = one.low.shape[1], _effect(one, confidence)
        ends = Interval(-1.0, 1.0)
        if np.isfinite(effect):
            worst, best = (
                paired_score(*(np.array(_counts(side)) / effect), n / effect, confidence)  # type: ignore[call-arg]
                for side in (one.low, one.high)
            )
            ends = Interval(worst.low, best.high)
        worst_mean, best_mean = one.mean_range()
        lows.append((worst_mean, ends.low))
        highs.append((best_mean, ends.high))
    seeds = len(strata[0].low)
    by_seeds = t_quantile(confidence, seeds - 1) * seed_deviation(strata) / seeds**0.5 if seeds > 1 else 0.0
    low, high = _bounds(lows, highs, by_seeds)
    return Interval(max(-1.0, low), min(1.0, high))


def confidence_above(strata: list[Stratum], least: float) -> float:
    """The one-sided confidence with which the mean change is at least `least`: the greatest for which the lower end of
    `change_bounds` is not below it; 0 where that is under 0.51. 0.975 is what a two-sided interval of 95 % shows."""
    low, high = 0.02, 1.0  # two-sided; the interval grows with the confidence
    if change_bounds(strata, low).low < least:
        return 0.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if change_bounds(strata, middle).low >= least else (low, middle)
    return (1 + low) / 2


def _counts(changes: Floats) -> tuple[float, float]:
    """Items (forgotten, learned), means over runs."""
    return float((changes < 0).sum()) / len(changes), float((changes > 0).sum()) / len(changes)


def seed_deviation(strata: list[Stratum]) -> float:
    """Standard deviation between seeds of the mean change; the greatest that ungraded items allow."""
    low, high = (np.mean([getattr(one, side).mean(axis=1) for one in strata], axis=0) for side in ("low", "high"))
    assert len(low) > 1
    return float(np.sqrt(largest_spread(low, high, np.ones(len(low))) / (len(low) - 1)))


def p_value(strata: list[Stratum], side: str, resamples: int, seed: int) -> float:
    """p of "no change" if ungraded items were as on `side`: by sign flips of clusters; with several seeds the greater
    of that and Student's t over seeds and clusters, degrees of freedom by Satterthwaite (1946), Biometrics Bull. 2."""
    units, variances, freedoms = [], [], []
    for one in strata:
        sums, sizes = one.sums(side)
        scale = sizes.sum() * len(strata)
        units.append(sums / scale)
        spread = largest_spread(sums, sums, sizes) / scale**2
        if len(sums) > 1:
            variances.append(spread * len(sums) / (len(sums) - 1))
            freedoms.append(len(sums) - 1)
    by_items = sign_flip(np.concatenate(units), resamples, seed)
    by_seed = np.mean([getattr(one, side).mean(axis=1) for one in strata], axis=0)
    if len(by_seed) == 1:
        return by_items
    variances.append(by_seed.var(ddof=1) / len(by_seed))
    freedoms.append(len(by_seed) - 1)
    total = sum(variances)
    if total == 0:
        return by_items
    freedom = total**2 / sum(v**2 / f for v, f in zip(variances, freedoms, strict=True))
    return max(by_items, float(2 * stats.t.sf(abs(by_seed.mean()) / total**0.5, freedom)))


def compare(
    table: pl.DataFrame, before: list[str], after: list[str], report: Report, average: Average, name: str
) -> dict[str, Any]:
    """The paired change of accuracy, runs `after` less runs `before`, over the rows of `table`.

    `difference` is over items that both sides have graded (within what ungraded items allow). low, high: bootstrap over
    items. bound_low, bound_high: `change_bounds`, what verdicts go by. `n`: items graded in all runs; `learned` and
    `forgotten`: counts of items 0->1 and 1->0, means over seeds; `seed_sd`: spread between seeds, None for one.
    """
    paired = pairs(before, after)
    runs = [sorted(set(column)) for column in zip(*paired, strict=True)]
    found: dict[str, Any] = {
        "n": len(table.select({*runs[0], *runs[1]}).drop_nulls()),
        "seeds": len(paired),
        "suite_count": table["suite"].n_unique(),
        "ungraded_before": len(table) - len(table.select(runs[0]).drop_nulls()),
        "ungraded_after": len(table) - len(table.select(runs[1]).drop_nulls()),
    }
    found["ungraded"] = len(table) - found["n"]
    strata = [change_ranges(part, paired) for part in parts(table, average)]
    graded = [np.where(one.low == one.high, one.low, np.nan) for one in strata]
    found["forgotten"], found["learned"] = (
        float(sum(total)) for total in zip(*(_counts(cells) for cells in graded), strict=True)
    )
    if any(np.isnan(cells).all() for cells in graded):
        return found | dict.fromkeys(("difference", "low", "high", "bound_low", "bound_high", "p", "seed_sd"))
    found["difference"] = float(
        np.mean([np.clip(np.nanmean(cells), *one.mean_range()) for cells, one in zip(graded, strata, strict=True)])
    )
    found["seed_sd"] = _observed_deviation(graded)
    found["bound_low"], found["bound_high"] = change_bounds(strata, report.confidence)
    seed = row_seed(0, "bootstrap", name)
    sides = ("low", "high") if found["ungraded"] else ("low",)
    intervals = [
        bootstrap([one.sums(side) for one in strata], report.confidence, report.resamples, seed) for side in sides
    ]
    found["low"], found["high"] = intervals[0].low, intervals[-1].high
    least, most = (np.mean(ends) for ends in zip(*(one.mean_range() for one in strata), strict=True))
    found["p"] = 1.0 if least < 0 < most else max(p_value(strata, side, report.resamples, seed) for side in sides)
    return found


def _observed_deviation(graded: list[Floats]) -> float | None:
    """Standard deviation between seeds of the mean change over graded items; None for one seed."""
    if len(graded[0]) == 1 or any(np.isnan(cells).all(axis=1).any() for cells in graded):
        return None
    return float(np.mean([np.nanmean(cells, axis=1) for cells in graded], axis=0).std(ddof=1))
