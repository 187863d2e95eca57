"""The frontier: the arms that no other beats in general and domain accuracy."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import polars as pl

from holdfast.steps.report.comparison import compare
from holdfast.steps.report.params import Report
from holdfast.steps.report.statistics import holm

Figures = dict[str, Any]


class Difference(NamedTuple):
    """Between two arms in one ability, paired by item: the second less the first, a share."""

    difference: float
    low: float  # the interval that verdicts go by
    high: float
    p: float  # adjusted by Holm for all pairs of arms and both abilities


Pairs = Mapping[tuple[str, str], Mapping[str, Difference]]  # by pair of arms and by ability


def differences(table: pl.DataFrame, runs: Mapping[str, list[str]], abilities: Sequence[str], report: Report) -> Pairs:
    """`compare` of every pair of arms in `abilities`, with p adjusted; an ability that a pair has no grades for is left
    out. `table`: all evaluations side by side (`side_by_side`); `runs`: the runs of each arm."""
    found: dict[tuple[str, str], dict[str, Figures]] = {}
    for one, other in combinations(sorted(runs), 2):
        found[one, other] = {
            ability: compared
            for ability in abilities
            if (compared := _compared(table, runs[one], runs[other], ability, report))["difference"] is not None
        }
    every = [compared for by_ability in found.values() for compared in by_ability.values()]
    for compared, adjusted in zip(every, holm([compared["p"] for compared in every]), strict=True):
        compared["p_holm"] = adjusted
    return {
        pair: {
            ability: Difference(*(one[key] for key in ("difference", "bound_low", "bound_high", "p_holm")))
            for ability, one in by_ability.items()
        }
        for pair, by_ability in found.items()
    }


def _compared(table: pl.DataFrame, before: list[str], after: list[str], ability: str, report: Report) -> Figures:
    rows = table.filter(pl.col("ability") == ability)
    return compare(rows, before, after, report, report.average, f"{before[0]} {after[0]} {ability}")


def difference_of(pairs: Pairs, one: str, other: str, ability: str) -> Difference | None:
    """`other` less `one`, whichever of the two the pair has first; None where it is not measured."""
    if (one, other) in pairs:
        return pairs[one, other].get(ability)
    found = pairs[other, one].get(ability)
    return found and Difference(-found.difference, -found.high, -found.low, found.p)


def above(accuracies: Mapping[str, Mapping[str, float]], one: str, other: str) -> list[str]:
    """The abilities in which `other` is better by the estimates; none where it is worse in any."""
    mine, theirs = accuracies[one], accuracies[other]
    if any(theirs[ability] < mine[ability] for ability in mine):
        return []
    return [ability for ability in mine if theirs[ability] > mine[ability]]


def frontier(accuracies: Mapping[str, Mapping[str, float]], pairs: Pairs, confidence: float) -> Figures:
    """Which arms are on the frontier, and why the others are not. `accuracies`: by arm and ability, as shares.

    An arm is dominated by another that is at least as good in every ability by the estimates and better in one by a
    difference that the paired test finds significant at 1 - `confidence`, adjusted for all pairs (Holm 1979). The
    frontier is what no arm dominates: the subset that the data cannot tell from the best, in the sense of Gupta (1965),
    Technometrics 7, 225-245. Arms with equal estimates do not dominate each other. Domination follows the order of the
    estimates, so that it has no cycles and the frontier is never empty. Cost plays no part in it.

    `arms`: on the frontier, the best in general accuracy first. `dominated`: for each other arm the one that beats it
    by the smallest p, with `better_in`. `not_significant`: arms that others exceed by the estimates only.
    """
    dominated: dict[str, Figures] = {}
    by_estimate: dict[str, list[str]] = {}
    for arm in accuracies:
        beaten = []
        for other in accuracies:
            better = above(accuracies, arm, other) if other != arm else []
            tests = {ability: difference_of(pairs, arm, other, ability) for ability in better}
            proved = {a: d for a, d in tests.items() if d and d.difference > 0 and d.p < 1 - confidence}
            if proved:
                beaten.append((min(d.p for d in proved.values()), other, proved))
            elif better:
                by_estimate.setdefault(arm, []).append(other)
        if beaten:
            p, other, proved = min(beaten, key=lambda one: one[:2])
            dominated[arm] = {"by": other, "p": p, "better_in": {a: d._asdict() for a, d in proved.items()}}
    on = sorted(accuracies.keys() - dominated.keys(), key=lambda arm: ([-x for x in accuracies[arm].values()], arm))
    return {
        "arms": on,
        "dominated": dominated,
        "not_significant": {arm: sorted(others) for arm, others in by_estimate.items() if arm not in dominated},
    }
