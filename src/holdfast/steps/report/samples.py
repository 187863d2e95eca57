"""Example rows for the page: instructions with their candidates, dropped rows, items learned and forgotten."""

from typing import Any

import polars as pl

from holdfast.common.files import scan_parquet, scan_table
from holdfast.common.ids import row_id
from holdfast.common.tables import (
    EVALUATIONS,
    GENERATIONS,
    INSTRUCTIONS,
    PROMPTS,
)

Row = dict[str, Any]
KEYS = ["suite", "task", "item_id"]


def example_instructions(
    prompts: str,
    instructions: str,
    generations: list[str],
    scores: pl.LazyFrame,
    selected: pl.LazyFrame,
    rejected: pl.LazyFrame,
    size: int,
) -> list[Row]:
    """`size` instructions, each with its prompt and its candidates, best first, with their scores and why each was kept
    or rejected.

    `scores` has candidate_id, instruction_id, judge and score; `selected` and `rejected` are a selection's SELECTED and
    REJECTED_CANDIDATES. Ids are hashes, so the first ids are a random sample, the same in every build.
    """
    some = scan_table(instructions, INSTRUCTIONS).sort("instruction_id").head(size).collect()
    ids = some["instruction_id"].to_list()
    origin = {row["prompt_id"]: row for row in scan_table(prompts, PROMPTS).collect().iter_rows(named=True)}
    here = pl.col("instruction_id").is_in(ids)
    candidates = pl.concat(
        [
            scan_table(path, GENERATIONS)
            .filter(here)
            .select("instruction_id", "candidate_id", "model", "sample", "response")
            for path in generations
        ]
    )
    scores = scores.filter(here).group_by("candidate_id").agg(scores=pl.struct("judge", "score").sort_by("judge"))
    kept = selected.filter(here).select("candidate_id", "score", reason=pl.lit("kept"), detail=pl.lit(""))
    lost = rejected.filter(here).select("candidate_id", "score", "reason", "detail")
    table = (
        candidates.join(scores, on="candidate_id", how="left")
        .join(pl.concat([kept, lost]), on="candidate_id", how="left")
        .sort("instruction_id", "score", "candidate_id", descending=[False, True, False], nulls_last=True)
        .collect()
    )
    grouped = {
        str(key[0]): part.rows(named=True) for key, part in table.group_by(["instruction_id"], maintain_order=True)
    }
    return [
        row | {"prompt": origin.get(row["prompt_id"], {}), "candidates": grouped.get(row["instruction_id"], [])}
        for row in some.iter_rows(named=True)
    ]


def dropped(path: str, size: int) -> list[Row]:
    """Up to `size` dropped rows of each reason in the file: reason, detail and text (its first text column)."""
    frame = scan_parquet(path)
    columns = frame.collect_schema().names()
    text = next((name for name in ("response", "instruction", "text", "row") if name in columns), None)
    shown = pl.col(text).cast(pl.String) if text else pl.lit("")
    key = next((name for name in columns if name.endswith("_id")), "reason")
    rows = frame.select("reason", pl.col("detail").cast(pl.String), text=shown, key=pl.col(key).cast(pl.String))
    return (
        rows.sort("reason", "key", "text").group_by("reason", maintain_order=True).head(size).collect().rows(named=True)
    )


def changed_items(before: pl.DataFrame, after: pl.DataFrame, size: int) -> dict[str, list[Row]]:
    """Up to `size` items each that were `forgotten` (right before, wrong after) and `learned`, in random order."""
    both = before.select(list(EVALUATIONS)).join(
        after.select(*KEYS, "answer", "correct", "finish_reason"), on=KEYS, suffix="_after", validate="1:1"
    )
    both = both.filter(pl.col("correct") != pl.col("correct_after"))
    order = pl.Series("order", [row_id(*key) for key in both.select(KEYS).iter_rows()], dtype=pl.String)
    both = both.with_columns(order).sort("order")
    return {
        "forgotten": both.filter("correct").head(size).rows(named=True),
        "learned": both.filter("correct_after").head(size).rows(named=True),
    }
