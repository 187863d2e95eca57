"""One score per candidate from several judges.

The tables here have a row per candidate (candidate_id, instruction_id, model, sample) and a column per judge, named
`column(judge)`, null where the judge gave no score. Judges are taken in the order of their names, so that sums do not
depend on the order of files.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl

from holdfast.common.errors import UserError
from holdfast.steps.filter.params import Selection

AGGREGATES = ("mean", "calibrated", "median")
LEAST_SD = 0.05  # points; scores that vary less carry no information, and scaling them up would add noise


def column(judge: str) -> str:
    """The name of a judge's column."""
    return f"by {judge}"


def judge_of(scores: pl.LazyFrame) -> str | None:
    """The judge that gave these SCORES; None where there are none."""
    return scores.select(pl.col("judge").first()).collect().item()


def join_scores(candidates: pl.LazyFrame, scores: Iterable[pl.LazyFrame]) -> tuple[pl.DataFrame, list[str]]:
    """`candidates` (candidate_id and more) with a column per judge, sorted by id; and the judges' names, sorted.

    Raises UserError when a judge scored a candidate twice or has two tables.
    """
    columns = {}
    for table in scores:
        judge = judge_of(table)
        if judge is None:  # an empty table
            continue
        if column(judge) in columns:
            raise UserError(f"judge {judge} has two tables of scores; keep one")
        columns[column(judge)] = table.select("candidate_id", pl.col("score").alias(column(judge)))
    wide, rows = candidates, candidates.select(pl.len()).collect().item()
    for name in sorted(columns):
        wide = wide.join(columns[name], on="candidate_id", how="left")
    found = wide.sort("candidate_id").collect()
    if found.height != rows:
        raise UserError("a judge scored a candidate twice; run the step score again")
    return found, [name.removeprefix("by ") for name in sorted(columns)]


def counted_columns(judges: list[str], exclude_self: bool) -> list[pl.Expr]:
    """The judges' columns; with `exclude_self` without each model's scores of its own answers."""
    return [
        pl.when(~(pl.lit(exclude_self) & (pl.col("model") == j))).then(pl.col(column(j))).alias(column(j))
        for j in judges
    ]


def judge_effects(table: pl.DataFrame, columns: list[str]) -> np.ndarray | None:
    """Each column's offset in the additive model score = candidate + column + error, by least squares; they sum to 0.

    Two-way classification without interaction (Searle, Linear Models, 1971, ch. 7): a judge that scored better answers
    does not count as lenient. Candidates with the same missing columns enter the normal equations together, so one
    pass over the table is enough. None where the columns are not connected, directly or through other columns, by
    candidates with scores in both: then an offset cannot be separated from a difference between the candidates
    (connectedness, Searle, section 7.4: full rank less one).
    """
    present = [pl.col(c).is_not_null().alias(f"has {c}") for c in columns]
    groups = table.group_by(present).agg(pl.len(), pl.col(columns).sum()).sort([f"has {c}" for c in columns])
    left, right = np.zeros((len(columns), len(columns))), np.zeros(len(columns))
    for group in groups.iter_rows(named=True):
        has = np.array([group[f"has {c}"] for c in columns], dtype=bool)
        if (k := has.sum()) > 1:
            sums = np.array([group[c] for c in columns])[has]
            left[np.ix_(has, has)] += group["len"] * (np.eye(k) - 1 / k)
            right[has] += sums - sums.mean()
    effects, _, rank, _ = np.linalg.lstsq(left, right, rcond=1e-9)
    return effects if rank == len(columns) - 1 else None


@dataclass(frozen=True)
class Calibration:
    """The linear map from a judge's scores to the committee's scale: score * slope + offset."""

    slope: float
    offset: float


def varying_judges(table: pl.DataFrame, judges: list[str]) -> list[str]:
    """The judges whose scores differ from candidate to candidate."""
    scores = {j: table[column(j)].drop_nulls().to_numpy() for j in judges}
    return [j for j, given in scores.items() if len(given) > 1 and np.std(given, ddof=1) >= LEAST_SD]


def calibrate(table: pl.DataFrame, judges: list[str]) -> dict[str, Calibration | None]:
    """For each judge the map that removes its scale and severity: z-scores, corrected for which candidates it scored,
    on the judges' average scale. None for a judge whose scores do not vary.

    All None where the other judges are not connected by candidates that they both scored (`judge_effects`): better
    answers could then not be separated from a more lenient judge.
    """
    lines: dict[str, Calibration | None] = dict.fromkeys(judges)
    varying = varying_judges(table, judges)
    if not varying:
        return lines
    scores = [table[column(j)].drop_nulls().to_numpy() for j in varying]
    sd, mean = np.array([np.std(s, ddof=1) for s in scores]), np.array([np.mean(s) for s in scores])
    z = table.select((pl.col(column(j)) - m) / s for j, m, s in zip(varying, mean, sd, strict=True))
    effects = judge_effects(z, [column(j) for j in varying])
    if effects is None:
        return lines
    for j, s, m, effect in zip(varying, sd, mean, effects, strict=True):
        slope = sd.mean() / s
        lines[j] = Calibration(round(slope, 9), round(mean.mean() - m * slope - effect * sd.mean(), 9))
    return lines


def aggregate(table: pl.DataFrame, judges: list[str], how: Selection) -> pl.Series:
    """Each candidate's aggregated score, null where fewer than `min_judges` judges count: not those without a score for
    it, nor those that calibration leaves out. Rounded to 9 decimals, so that equal scores compare as equal."""
    used = table.select("model", *counted_columns(judges, how.exclude_self))
    columns = {column(j): pl.col(column(j)) for j in judges}
    if how.aggregate == "calibrated":
        lines = {column(j): line for j, line in calibrate(used, judges).items() if line is not None}
        columns = {c: pl.col(c) * line.slope + line.offset for c, line in lines.items()}
    enough = pl.sum_horizontal(pl.lit(0), *(pl.col(c).is_not_null() for c in columns)) >= how.min_judges
    if how.aggregate == "median" and columns:
        score = pl.concat_list(columns.values()).list.drop_nulls().list.median()
    else:
        score = pl.mean_horizontal(pl.lit(None, pl.Float64), *columns.values())
    return used.with_columns(score=pl.when(enough).then(score.round(9)))["score"]
