"""How far judges agree, how severe each is, and whether it favours its own answers (tables as in `committee`)."""

import warnings
from typing import Any

import krippendorff
import numpy as np
import polars as pl

from holdfast.steps.filter.aggregation import by, counted, judge_effects

CANDIDATES_FOR_ALPHA = 20_000  # alpha's coincidence table is candidates x values


def alpha(table: pl.DataFrame, judges: list[str]) -> float | None:
    """Krippendorff's alpha, ordinal: 1 is agreement, 0 is chance. Null when there is nothing to compare.

    Fractional scores are taken to one decimal. Ids are hashes, so the first candidates by id are a random sample.
    Krippendorff, Content Analysis (2004), section 11.3, in the package of the same name.
    """
    if len(judges) < 2:
        return None
    scores = table.sort("candidate_id").select((pl.col(by(j)) * 10).round() for j in judges)
    paired = scores.filter(pl.sum_horizontal(pl.all().is_not_null()) >= 2).head(CANDIDATES_FOR_ALPHA)
    values = paired.to_numpy().T.astype(float)
    if paired.is_empty() or len(np.unique(values[~np.isnan(values)])) < 2:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        found = krippendorff.alpha(reliability_data=values, level_of_measurement="ordinal")
    return round(float(found), 6)


def severity(table: pl.DataFrame, judges: list[str]) -> dict[str, float | None]:
    """Points by which each judge scores lower than the committee, on the same answers and never on its own.

    Null for a judge without scores of others' answers, and for all where such answers do not connect at least two
    judges (`judge_effects`), as with two who wrote everything: severity and the answers' quality cannot be told apart.
    """
    others = table.select("model", *counted(judges, exclude_self=True))
    rating = [j for j in judges if others[by(j)].count()]
    effects = judge_effects(others, [by(j) for j in rating]) if len(rating) > 1 else None
    found: dict[str, float | None] = dict.fromkeys(judges)
    if effects is not None:
        found |= {j: round(-float(effect), 6) for j, effect in zip(rating, effects, strict=True)}
    return found


def ratio_interval(sums: np.ndarray, counts: np.ndarray) -> tuple[float, np.ndarray]:
    """A mean over rows that come in clusters, and each cluster's influence on it: the ratio of `sums` to `counts`.

    The squares of the influences add up to its variance: Cochran, Sampling Techniques (3rd ed., 1977), section 6.4.
    Needs two clusters with rows.
    """
    ratio, clusters = sums.sum() / counts.sum(), np.count_nonzero(counts)
    return float(ratio), (sums - ratio * counts) / counts.sum() * np.sqrt(clusters / (clusters - 1))


def self_preference(table: pl.DataFrame, judges: list[str], judge: str) -> dict[str, Any] | None:
    """Own score minus another judge's of the same answers, compared with the same gap on answers of another model.

    The second gap is the judge's general leniency; from both, judges of answers that they wrote themselves are left
    out. Each other judge and each other model make one such difference of differences, in which every judge's severity
    cancels, whoever scored what; `estimate` is their mean, weighted by the answers compared, in points, with a 95 %
    interval (`low`, `high`) over instructions. It is null where no difference has answers to two instructions on both
    sides, as where two judges wrote everything: their preferences cannot be told apart. `own_minus_others` is the mean
    gap to the other judges' mean on the `own_answers`. Null when the judge wrote nothing.
    """
    others = [j for j in judges if j != judge]
    mine = table.filter(pl.col("model") == judge).select(
        pl.col(by(judge)) - pl.mean_horizontal(pl.lit(None, pl.Float64), *(pl.col(by(j)) for j in others))
    )
    gaps = mine.to_series().drop_nulls()
    if gaps.is_empty():
        return None
    found = {"own_answers": len(gaps), "own_minus_others": round(float(gaps.to_numpy().mean()), 6)}
    instruction = table["instruction_id"].rank("dense").to_numpy() - 1
    clusters = int(instruction.max()) + 1
    estimate, influence, weights = 0.0, np.zeros(clusters), 0.0
    for other in others:
        gap = (table[by(judge)] - table[by(other)]).to_numpy()
        sides = {}
        for model in table["model"].unique().sort():
            rows = (table["model"] == model).to_numpy() & ~np.isnan(gap)
            counts = np.bincount(instruction[rows], minlength=clusters)
            sides[model] = np.bincount(instruction[rows], gap[rows], clusters), counts
        own = sides.pop(judge)
        sides.pop(other, None)
        for side in sides.values():
            if min(np.count_nonzero(counts) for _, counts in (own, side)) < 2:
                continue
            (preferred, own_influence), (lenient, other_influence) = ratio_interval(*own), ratio_interval(*side)
            weight = float(min(own[1].sum(), side[1].sum()))
            estimate, weights = estimate + weight * (preferred - lenient), weights + weight
            influence += weight * (own_influence - other_influence)
    if not weights:
        return found | {"estimate": None, "low": None, "high": None}
    middle, half = estimate / weights, 1.959964 * float(np.sqrt(np.sum(influence**2))) / weights
    bounds = {"estimate": middle, "low": middle - half, "high": middle + half}
    return found | {name: round(value, 6) for name, value in bounds.items()}
