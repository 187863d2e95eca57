"""Every judge's score of every candidate as one table, and statistics of judges, models and aggregations.

Writes data/filter/all_scores.parquet (columns of `tables.ALL_SCORES`), and metrics/filter.json for the selection
`selected`.
"""

from typing import Any

import numpy as np
import polars as pl

from holdfast.common.files import scan_table, scan_tables, write_json, write_table
from holdfast.common.section import read, value
from holdfast.common.step import arguments, run
from holdfast.common.tables import ALL_SCORES, GENERATIONS, INSTRUCTIONS, REJECTED_CANDIDATES, SCORES, SELECTED
from holdfast.steps.filter.aggregation import AGGREGATES, LEAST_SD, column, judge_of
from holdfast.steps.filter.agreement import alpha, self_preference, severity
from holdfast.steps.filter.params import Selection
from holdfast.steps.filter.selection import decide, score_table

EXAMPLES = 12
_EXAMPLE_CHARS = 600


def all_scores(generations: pl.LazyFrame, scores: list[pl.LazyFrame]) -> pl.LazyFrame:
    """One row per candidate and judge, in order of instruction, candidate and judge."""
    written = generations.select("candidate_id", "model", "sample")
    given = pl.concat(scores) if scores else pl.LazyFrame(schema=SCORES)
    return (
        given.drop("raw")
        .join(written, on="candidate_id")
        .with_columns(own=pl.col("judge") == pl.col("model"))
        .select(list(ALL_SCORES))
        .sort("instruction_id", "candidate_id", "judge")
    )


def histogram(scores: pl.Series) -> dict[str, int]:
    """Number of scores by nearest half point, from 1 to 5; calibrated scores may lie outside."""
    nearest = (scores.drop_nulls() * 2).round() / 2
    counts = dict(nearest.value_counts().iter_rows())
    steps = sorted({*counts, *(n / 2 for n in range(2, 11))})
    return {f"{step:.1f}": counts.get(step, 0) for step in steps}


def judges_report(cells: pl.DataFrame, table: pl.DataFrame, judges: list[str]) -> dict[str, Any]:
    """For each judge: its scores, failures, severity and self-preference. `cells`: rows of ALL_SCORES."""
    severities = severity(table, judges)
    report = {}
    for judge in judges:
        mine = cells.filter(pl.col("judge") == judge)
        scores, status = mine["score"].drop_nulls(), dict(mine["status"].value_counts().iter_rows())
        sd = float(np.std(scores.to_numpy(), ddof=1)) if len(scores) > 1 else None
        report[judge] = {
            "candidates": mine.height,
            "scored": len(scores),
            **{name: status.get(name, 0) for name in ("unparsable", "error")},
            "mean": _round(scores.mean()),
            "sd": _round(sd),
            "constant": sd is not None and sd < LEAST_SD,
            "severity": severities[judge],
            "mean_valid_mass": _round(mine["valid_mass"].mean()),
            "mean_attempts": _round(mine["attempts"].mean()),
            "histogram": histogram(scores),
            "self_preference": self_preference(table, judges, judge),
        }
    return report


def aggregations(
    table: pl.DataFrame, judges: list[str], how: Selection, kept: pl.DataFrame, random_seed: int
) -> list[dict[str, Any]]:
    """For every value of `aggregate` and `exclude_self`: the share of instructions with the same choice, and
    the kept answers by model."""
    now = kept.group_by("instruction_id").agg(now=pl.col("candidate_id").sort())
    report = []
    for exclude_self in (False, True):
        for name in AGGREGATES:
            other = how.model_copy(update={"aggregate": name, "exclude_self": exclude_self})
            chosen = decide(table, judges, other, random_seed).filter(pl.col("reason").is_null())
            then = chosen.group_by("instruction_id").agg(then=pl.col("candidate_id").sort())
            both = now.join(then, on="instruction_id", how="full", coalesce=True)
            report.append(
                {
                    "aggregate": name,
                    "exclude_self": exclude_self,
                    "current": (name, exclude_self) == (how.aggregate, how.exclude_self),
                    "kept": chosen.height,
                    "same_choice": _round(
                        both.select((pl.col("now") == pl.col("then")).fill_null(False).mean()).item()
                    ),
                    "kept_by_model": dict(chosen["model"].value_counts().sort("model").iter_rows()),
                }
            )
    return report


def disagreements(
    table: pl.DataFrame, judges: list[str], instructions: pl.LazyFrame, generations: pl.LazyFrame, kept: pl.DataFrame
) -> list[dict[str, Any]]:
    """The candidates whose scores differ most between judges, one per instruction, with their texts (cut)."""
    if len(judges) < 2:
        return []
    columns = [column(j) for j in judges]
    spread = (pl.max_horizontal(columns) - pl.min_horizontal(columns)).round(6)
    worst = (
        table.with_columns(spread=spread, kept=pl.col("candidate_id").is_in(kept["candidate_id"].implode()))
        .drop_nulls("spread")
        .sort("spread", "candidate_id", descending=[True, False])
        .unique("instruction_id", keep="first", maintain_order=True)
        .head(EXAMPLES)
    )
    texts = (
        worst.lazy()
        .join(generations.select("candidate_id", "response"), on="candidate_id", maintain_order="left")
        .join(instructions.select("instruction_id", "instruction"), on="instruction_id", maintain_order="left")
        .with_columns(pl.col("instruction", "response").str.slice(0, _EXAMPLE_CHARS))
        .collect()
    )
    names = ("candidate_id", "instruction_id", "instruction", "response", "model", "spread", "kept")
    return [
        {name: row[name] for name in names} | {"scores": {j: _round(row[column(j)]) for j in judges}}
        for row in texts.iter_rows(named=True)
    ]


def report(
    instructions: pl.LazyFrame,
    generations: pl.LazyFrame,
    scores: list[pl.LazyFrame],
    selected: pl.LazyFrame,
    rejected: pl.LazyFrame,
    how: Selection,
    random_seed: int,
) -> dict[str, Any]:
    """metrics/filter.json."""
    # statistics of judges are over everything that they scored, whatever the selection leaves out
    everything, judges = score_table(instructions, generations, scores, Selection())
    cells = all_scores(generations, scores).collect()
    used = [j for j in judges if how.judges is None or j in how.judges]
    table, used = score_table(instructions, generations, [s for s in scores if judge_of(s) in used], how)
    kept = selected.select("candidate_id", "instruction_id", "model", "score").collect()
    lost = rejected.select("candidate_id", "instruction_id", "model", "score", "reason").collect()
    competing = table["model"].value_counts().sort("model")
    wins = dict(kept["model"].value_counts().iter_rows())
    everyone = pl.concat([kept["score"], lost["score"]])
    return {
        "settings": how.model_dump(),
        "counts": {
            "instructions": instructions.select(pl.len()).collect().item(),
            "instructions_kept": kept["instruction_id"].n_unique(),
            "candidates": table.height,
            "kept": kept.height,
            "rejected": dict(lost["reason"].value_counts().sort("reason").iter_rows()),
        },
        "models": {
            model: {
                "candidates": n,
                "kept": wins.get(model, 0),
                "share_of_candidates": _round(n / table.height),
                "share_of_kept": _round(wins.get(model, 0) / kept.height),
            }
            for model, n in competing.iter_rows()
        },
        "judges": judges_report(cells, everything, judges),
        "agreement": {
            "alpha_ordinal": alpha(everything, judges),
            "pairs": [
                {"judges": [a, b], "alpha_ordinal": alpha(everything, [a, b])}
                for i, a in enumerate(judges)
                for b in judges[i + 1 :]
            ],
        },
        "scores": {"candidates": histogram(everyone), "kept": histogram(kept["score"])},
        "aggregations": aggregations(table, used, how, kept, random_seed) if used else [],
        "disagreements": disagreements(everything, judges, instructions, generations, kept),
    }


def _round(value: Any) -> float | None:
    return None if value is None else round(float(value), 6)


def main() -> None:
    names = ("instructions", "selected", "rejected", "all_scores", "metrics")
    args = arguments(__doc__, *names, many=("generations", "scores"))
    instructions = scan_table(args.instructions, INSTRUCTIONS)
    generations = scan_tables(args.generations, GENERATIONS)
    scores = [scan_table(path, SCORES) for path in sorted(args.scores)]
    found = report(
        instructions,
        generations,
        scores,
        scan_table(args.selected, SELECTED),
        scan_table(args.rejected, REJECTED_CANDIDATES),
        read(args.params, "filter.selected", Selection),
        value(args.params, "random_seed"),
    )
    write_table(all_scores(generations, scores), args.all_scores, ALL_SCORES)
    write_json(found, args.metrics)


if __name__ == "__main__":
    run(main)
