"""How far judges agree, how severe each is, and whether it favours its own answers (tables as in `committee`)."""

import warnings
from typing import Any

import krippendorff
import numpy as np
import polars as pl

from holdfast.committee import by, counted, judge_effects

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
    """
    ratio = sums.sum() / counts.sum()
    clusters = len(sums)
    return float(ratio), (sums - ratio * counts) / counts.sum() * np.sqrt(clusters / max(clusters - 1, 1))


def self_preference(table: pl.DataFrame, judges: list[str], judge: str) -> dict[str, Any] | None:
    """Own score minus the other judges' of the same answers, compared with the same gap on answers of other models.

    The second gap is the judge's general leniency; from both, judges of answers that they wrote themselves are left
    out. `own_minus_others` is the first gap; `estimate` is the difference in points with a 95 % interval (`low`,
    `high`) over instructions, null where two judges wrote everything, as their preferences cannot be told apart.
    Null when the judge wrote nothing.
    """
    others = counted([j for j in judges if j != judge], exclude_self=True)
    gap = table.select(
        "instruction_id",
        own=pl.col("model") == judge,
        gap=pl.col(by(judge)) - pl.mean_horizontal(pl.lit(None, pl.Float64), *others),
    ).filter(pl.col("gap").is_not_null())
    sides = [pl.col("own"), ~pl.col("own")]
    per = gap.group_by("instruction_id").agg(
        *(pl.col("gap").filter(side).sum().alias(f"sum{i}") for i, side in enumerate(sides)),
        *(side.sum().cast(pl.Float64).alias(f"n{i}") for i, side in enumerate(sides)),
    )
    per = per.sort("instruction_id")
    if not per["n0"].sum():
        return None
    own, influence = ratio_interval(per["sum0"].to_numpy(), per["n0"].to_numpy())
    found: dict[str, Any] = {"own_answers": int(per["n0"].sum()), "own_minus_others": round(own, 6)}
    if not per["n1"].sum():
        return found | {"estimate": None, "low": None, "high": None}
    leniency, other_influence = ratio_interval(per["sum1"].to_numpy(), per["n1"].to_numpy())
    estimate, error = own - leniency, float(np.sqrt(np.sum((influence - other_influence) ** 2)))
    bounds = {"estimate": estimate, "low": estimate - 1.959964 * error, "high": estimate + 1.959964 * error}
    return found | {name: round(value, 6) for name, value in bounds.items()}
