"""Rows whose questions contain items of evaluation suites or benchmarks: rejected, or kept and reported."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from holdfast.common.rejected import drop_with_reasons
from holdfast.common.tables import MIX_CONTAMINATION
from holdfast.common.wording import counted
from holdfast.steps.mix.params import Source
from holdfast.text.benchmark_items import Item, suite_items
from holdfast.text.contamination import hits
from holdfast.text.params import Contamination


def load_items(suites: Sequence[str], harness: Sequence[str], settings: Contamination) -> list[Item]:
    """The items of the user's suites, the harness's and `settings.benchmarks`, with their path as suite."""
    files = [(path, settings.fields) for path in sorted({*suites, *settings.benchmarks})]
    files += [(path, ["prompt"]) for path in sorted(harness)]
    return [item for path, fields in files for item in suite_items(path, path, fields)]


def reporting_sources(sources: Mapping[str, Source], size_source: str | None) -> set[str]:
    """The sources whose contaminated rows are kept: those with `contamination: report`, and by default the file that
    sets the size."""
    return {
        name
        for name, source in sources.items()
        if (source.contamination or ("report" if name == size_source and source.path else "reject")) == "report"
    }


def drop_contaminated(
    rows: pl.DataFrame, items: list[Item], ngram: int, reporting: set[str]
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Compare every question of rows (MIXABLE) with the items; of `reporting` sources only questions that are an item
    word for word are rejected.

    Returns the rows kept; those dropped, with reason (`in_evaluation`) and detail; what was found (MIX_CONTAMINATION).
    """
    questions = rows.select("questions", id="row_id").explode("questions").rename({"questions": "text"})
    found = hits(questions.drop_nulls(), items, ngram).rename({"id": "row_id"})
    kept = pl.col("source").is_in(reporting) & (pl.col("kind") != "exact").all().over("row_id")
    found = (
        found.join(rows.select("row_id", "source", "origin"), on="row_id", maintain_order="left")
        .with_columns(action=pl.when(kept).then(pl.lit("reported")).otherwise(pl.lit("rejected")))
        .select(list(MIX_CONTAMINATION))
    )
    reasons = (
        found.filter(pl.col("action") == "rejected")
        .group_by("row_id", maintain_order=True)
        .agg(
            reason=pl.lit("in_evaluation"),
            detail=pl.format("{} {} ({}): {}", "suite", "item_id", "kind", "span").str.join("; "),
        )
    )
    return *drop_with_reasons(rows, reasons, "row_id"), found


def mark_not_drawn(found: pl.DataFrame, mixed: pl.DataFrame) -> pl.DataFrame:
    """`found` with the action `not_drawn` where the row is kept but did not come into the mixture `mixed`."""
    outside = (pl.col("action") == "reported") & ~pl.col("row_id").is_in(mixed["row_id"].implode())
    return found.with_columns(action=pl.when(outside).then(pl.lit("not_drawn")).otherwise("action"))


def counts_by_suite(found: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows of `found` (MIX_CONTAMINATION) by source, suite and action."""
    by = ["source", "suite", "action"]
    return found.group_by(by).agg(rows=pl.col("row_id").n_unique()).sort(by).to_dicts()


def warn(arm: str, found: pl.DataFrame, folder: str) -> None:
    """Warn on the terminal and in the log about sources that keep rows with test items."""
    for (source,), kept in (
        found.filter(pl.col("action") == "reported").sort("source").group_by("source", maintain_order=True)
    ):
        suites = ", ".join(f"{row['suite']} ({row['rows']:,})" for row in counts_by_suite(kept))
        rows = counted(kept["row_id"].n_unique(), "row")
        line = (
            f"WARNING: mix {arm}: {rows} of source {source} contain items of evaluation suites and stay in the mixture:"
            f" {suites}. Results on these suites will be too high. {folder}/contamination.parquet lists the rows;"
            f" sources.{source}.contamination: reject removes them"
        )
        print(line, flush=True)
        print(line, file=sys.stderr)
