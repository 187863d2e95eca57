"""One score per candidate from several judges.

The table here is wide: a row per candidate (candidate_id, instruction_id, model, sample) and a column per judge,
named by `by(judge)`, null where the judge gave no score. Judges are always taken in the order of their names, so that
sums do not depend on the order of files.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl

from holdfast.common.errors import UserError
from holdfast.steps.filter.params import Selection

AGGREGATES = ("mean", "calibrated", "median")


LEAST_SPREAD = 0.05  # points: a judge whose scores vary less says nothing, and dividing by so little would be all noise


def by(judge: str) -> str:
    """The name of a judge's column."""
    return f"by {judge}"


def widen(candidates: pl.LazyFrame, scores: Iterable[pl.LazyFrame]) -> tuple[pl.DataFrame, list[str]]:
    """Join one column per judge to `candidates` (candidate_id and more); also the judges' names, sorted.

    Raises UserError when a judge scored a candidate twice or has two tables.
    """
    columns = {}
    for table in scores:
        judge = table.select(pl.col("judge").first()).collect().item()
        if judge is None:
            continue  # nothing to judge
        if by(judge) in columns:
            raise UserError(f"judge {judge} has two score tables; keep one")
        columns[by(judge)] = table.select("candidate_id", pl.col("score").alias(by(judge)))
    wide, rows = candidates, candidates.select(pl.len()).collect().item()
    for name in sorted(columns):
        wide = wide.join(columns[name], on="candidate_id", how="left")
    found = wide.sort("candidate_id").collect()
    if found.height != rows:
        raise UserError("a judge scored a candidate twice; build the scores again")
    return found, [name.removeprefix("by ") for name in sorted(columns)]


def counted(judges: list[str], exclude_self: bool) -> list[pl.Expr]:
    """The judges' columns; with `exclude_self` without each model's scores of its own answers."""
    return [pl.when(~(pl.lit(exclude_self) & (pl.col("model") == j))).then(pl.col(by(j))).alias(by(j)) for j in judges]


def judge_effects(table: pl.DataFrame, columns: list[str]) -> np.ndarray | None:
    """Each column's offset in the additive model score = candidate + column + error, by least squares; they sum to 0.

    The two-way fit (e.g. Searle, Linear Models, 1971, ch. 7) is fair to a judge who happened to get the better answers.
    Candidates with the same missing columns enter the normal equations together, so one pass over the table is enough.
    Null where columns are not connected, at least through third ones, by candidates with scores in both: a difference
    of offset then cannot be told from one of the candidates (connectedness, Searle, section 7.4: full rank less one).
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
    """The line that takes a judge's scores to the committee's scale: score * slope + offset; None: no information."""

    slope: float
    offset: float


def telling(table: pl.DataFrame, judges: list[str]) -> list[str]:
    """The judges whose scores differ from candidate to candidate."""
    scores = {j: table[by(j)].drop_nulls().to_numpy() for j in judges}
    return [j for j, given in scores.items() if len(given) > 1 and np.std(given, ddof=1) >= LEAST_SPREAD]


def calibrate(table: pl.DataFrame, judges: list[str]) -> dict[str, Calibration | None]:
    """Remove each judge's scale and severity: z-scores, corrected for who judged what, on the judges' average scale.

    All null where the telling judges are not connected by candidates that they both scored (`judge_effects`): each
    judge's z-scores would then be about answers of its own, and better answers would look like a lenient judge.
    """
    lines: dict[str, Calibration | None] = dict.fromkeys(judges)
    told = telling(table, judges)
    if not told:
        return lines
    scores = [table[by(j)].drop_nulls().to_numpy() for j in told]
    sd, mean = np.array([np.std(s, ddof=1) for s in scores]), np.array([np.mean(s) for s in scores])
    z = table.select((pl.col(by(j)) - m) / s for j, m, s in zip(told, mean, sd, strict=True))
    effects = judge_effects(z, [by(j) for j in told])
    if effects is None:
        return lines
    for j, s, m, effect in zip(told, sd, mean, effects, strict=True):
        slope = sd.mean() / s
        lines[j] = Calibration(round(slope, 9), round(mean.mean() - m * slope - effect * sd.mean(), 9))
    return lines


def aggregate(table: pl.DataFrame, judges: list[str], how: Selection) -> pl.Series:
    """The candidates' scores, null where fewer than `min_judges` gave one that counts (a judge whom calibration leaves
    out does not); rounded, so that ties are ties."""
    used = table.select("model", *counted(judges, how.exclude_self))
    columns = {by(j): pl.col(by(j)) for j in judges}
    if how.aggregate == "calibrated":
        lines = {by(j): line for j, line in calibrate(used, judges).items() if line is not None}
        columns = {c: pl.col(c) * line.slope + line.offset for c, line in lines.items()}
    enough = pl.sum_horizontal(pl.lit(0), *(pl.col(c).is_not_null() for c in columns)) >= how.min_judges
    if how.aggregate == "median" and columns:
        score = pl.concat_list(columns.values()).list.drop_nulls().list.median()
    else:
        score = pl.mean_horizontal(pl.lit(None, pl.Float64), *columns.values())
    return used.with_columns(score=pl.when(enough).then(score.round(9)))["score"]
