"""Agreement, severity and self-preference of judges (tables as in `aggregation`)."""

import warnings
from typing import Any

import krippendorff
import numpy as np
import polars as pl

from holdfast.steps.filter.aggregation import column, counted_columns, judge_effects

CANDIDATES_FOR_ALPHA = 20_000  # bounds the size of the coincidence matrix, candidates x values


def alpha(table: pl.DataFrame, judges: list[str]) -> float | None:
    """Krippendorff's alpha, ordinal: 1 is agreement, 0 is chance. Null when there is nothing to compare.

    Fractional scores are taken to one decimal. Ids are hashes, so the first candidates by id are a random sample.
    Krippendorff, Content Analysis (2004), section 11.3, in the package of the same name.
    """
    if len(judges) < 2:
        return None
    scores = table.sort("candidate_id").select((pl.col(column(j)) * 10).round() for j in judges)
    paired = scores.filter(pl.sum_horizontal(pl.all().is_not_null()) >= 2).head(CANDIDATES_FOR_ALPHA)
    values = paired.to_numpy().T.astype(float)
    if paired.is_empty() or len(np.unique(values[~np.isnan(values)])) < 2:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        found = krippendorff.alpha(reliability_data=values, level_of_measurement="ordinal")
    return round(float(found), 6)


def severity(table: pl.DataFrame, judges: list[str]) -> dict[str, float | None]:
    """Points by which each judge scores lower than the committee, on the same answers; its own answers are left out.

    None for a judge that scored no other model's answers, and for all judges where such answers do not connect at least
    two of them (`judge_effects`), as where two judges wrote all answers: severity and quality cannot be separated.
    """
    others = table.select("model", *counted_columns(judges, exclude_self=True))
    rating = [j for j in judges if others[column(j)].count()]
    effects = judge_effects(others, [column(j) for j in rating]) if len(rating) > 1 else None
    found: dict[str, float | None] = dict.fromkeys(judges)
    if effects is not None:
        found |= {j: round(-float(effect), 6) for j, effect in zip(rating, effects, strict=True)}
    return found


def ratio_interval(sums: np.ndarray, counts: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean over rows in clusters (`sums` and `counts` of each cluster), and each cluster's influence on it.

    The squared influences add up to the variance of the mean, a ratio estimator: Cochran, Sampling Techniques (3rd ed.,
    1977), section 6.4. Needs two clusters with rows.
    """
    ratio, clusters = sums.sum() / counts.sum(), np.count_nonzero(counts)
    return float(ratio), (sums - ratio * counts) / counts.sum() * np.sqrt(clusters / (clusters - 1))


def self_preference(table: pl.DataFrame, judges: list[str], judge: str) -> dict[str, Any] | None:
    """How many points a judge favours its own answers by: a difference of differences.

    The judge's score minus another judge's, on its own answers, less the same difference on answers of a third model.
    In it every judge's severity cancels. `estimate` is the mean over other judges and third models, weighted by the
    answers compared, with a 95 % interval (`low`, `high`) over instructions. It is None where no such difference has
    answers to two instructions on both sides, as where two judges wrote all answers. `own_minus_others` is the mean
    difference to the other judges' mean score on the `own_answers`. Returns None when the judge wrote no answer.
    """
    others = [j for j in judges if j != judge]
    mine = table.filter(pl.col("model") == judge).select(
        pl.col(column(judge)) - pl.mean_horizontal(pl.lit(None, pl.Float64), *(pl.col(column(j)) for j in others))
    )
    gaps = mine.to_series().drop_nulls()
    if gaps.is_empty():
        return None
    found = {"own_answers": len(gaps), "own_minus_others": round(float(gaps.to_numpy().mean()), 6)}
    instruction = table["instruction_id"].rank("dense").to_numpy() - 1
    clusters = int(instruction.max()) + 1
    estimate, influence, weights = 0.0, np.zeros(clusters), 0.0
    for other in others:
        gap = (table[column(judge)] - table[column(other)]).to_numpy()
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
