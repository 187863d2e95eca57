"""From samples to instructions: reject faulty, duplicate, contaminated and near-duplicate ones; compute metrics."""

from typing import Any

import numpy as np
import polars as pl

from holdfast.chat.user_turns import earlier_turns
from holdfast.common.rejected import drop_with_reasons, split_by_reason
from holdfast.common.tables import CONTAMINATION, REJECTED_INSTRUCTIONS
from holdfast.steps.clean.drop_reasons import collapse, reasons
from holdfast.steps.clean.near_duplicates import duplicates_of
from holdfast.steps.clean.params import Clean, NearDuplicates
from holdfast.steps.clean.quality import quality
from holdfast.text.benchmark_items import Item
from holdfast.text.contamination import hits


def contaminated(instructions: pl.DataFrame, items: list[Item], ngram: int) -> pl.DataFrame:
    """CONTAMINATION: the suites with which any user turn of an instruction overlaps."""
    length = pl.col("messages").list.len()
    several = instructions.filter(length > 2).with_columns(pl.col("messages").list.head(length - 1))
    turns = pl.concat(
        frame.select(id="instruction_id", text="instruction") for frame in (instructions, earlier_turns(several))
    )
    return hits(turns, items, ngram).rename({"id": "instruction_id"}).select(list(CONTAMINATION))


def drop_contaminated(instructions: pl.DataFrame, found: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Instructions without a hit, and those with one, whose detail is suite and span."""
    detail = found.group_by("instruction_id").agg(
        detail=pl.format("{}: {}", "suite", "span").sort_by("suite").str.join("; "), reason=pl.lit("contaminated")
    )
    return drop_with_reasons(instructions, detail, "instruction_id")


def drop_near_duplicates(instructions: pl.DataFrame, settings: NearDuplicates) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Instructions less near-duplicates of one that was sampled more often (or as often, with a smaller id); and these,
    with the similarity and the id of the kept instruction as detail."""
    if settings.threshold is None:
        return instructions, instructions.clear().with_columns(detail=pl.lit(""), reason=pl.lit(""))
    order = instructions.select(pl.struct(-pl.col("count"), "instruction_id").rank("ordinal").alias("rank") - 1)
    conversations = instructions["messages"].list.eval(
        pl.element().filter(pl.element().struct.field("role") != "system").struct.field("content")
    )
    near, similarity = duplicates_of(
        conversations.list.join("\n"),
        order["rank"].cast(pl.Int64).to_numpy(),
        settings.threshold,
        settings.ngram,
        settings.permutations,
    )
    kept_id = instructions["instruction_id"].gather(np.maximum(near, 0))
    return split_by_reason(
        instructions.with_columns(
            reason=pl.when(pl.Series(near >= 0)).then(pl.lit("near_duplicate")),
            detail=pl.format("{} of {}", pl.Series(np.round(similarity, 3)), kept_id),
        )
    )


def clean_samples(
    turns: pl.DataFrame, items: list[Item], clean: Clean
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, dict[str, Any]]:
    """INSTRUCTIONS, REJECTED_INSTRUCTIONS and CONTAMINATION, each sorted by id, and the metrics."""
    judged = reasons(turns, clean)
    faulty = judged.filter(pl.col("reason").is_not_null())
    distinct, duplicates = collapse(judged.filter(pl.col("reason").is_null()))
    # before near-duplicates: an instruction that is kept in place of others must not be dropped afterwards
    found = contaminated(distinct, items, clean.contamination.ngram)
    kept, in_suites = (
        drop_contaminated(distinct, found) if clean.contamination.action == "reject" else (distinct, distinct.clear())
    )
    kept, near = drop_near_duplicates(kept, clean.near_duplicates)
    none = pl.lit(None, dtype=pl.String)
    dropped = [
        faulty.with_columns(instruction_id=none),
        duplicates,
        *(frame.with_columns(sample_id=none) for frame in (in_suites, near) if len(frame)),
    ]
    rejected = pl.concat([frame.select(list(REJECTED_INSTRUCTIONS)) for frame in dropped])
    rejected = rejected.sort("sample_id", "instruction_id", "reason", nulls_last=True)
    return kept, rejected, found, quality(judged, distinct, kept, rejected, found)
