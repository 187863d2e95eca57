"""The files of a mixture: train and val as JSONL and Parquet, and the counts for summary.json."""

import datetime
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from holdfast.chat.dates import FIXED_DATE
from holdfast.common.files import replacing, write_jsonl
from holdfast.common.tables import MIX_REJECTED, MIXABLE
from holdfast.steps.mix import mixture

ROW = (
    "messages",
    "tools",
    "source",
    "row_id",
    "slice",
    "instruction_id",
    "model",
    "score",
    "licence",
    "tokens",
    "truncated",
)

DATE = datetime.date.fromisoformat(FIXED_DATE)


def output_rows(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows (MIXABLE) as they are written: `messages` first; without `tools` if no row of the mixture has any."""
    names = [name for name in ROW if name != "tools" or rows["tools"].is_not_null().any()]
    return [
        {name: json.loads(row["conversation"]) if name == "messages" else row[name] for name in names}
        for row in rows.iter_rows(named=True)
    ]


def summarise(
    parts: Iterable[mixture.Allocation], train: pl.DataFrame, val: pl.DataFrame, rejected: pl.DataFrame
) -> dict[str, Any]:
    """Counts of the mixture, per source or slice and altogether."""
    both = pl.concat([train, val])
    sources = []
    for s in parts:
        own = pl.col("source") == s.source
        own = own if s.slice is None else own & (pl.col("slice") == s.slice)
        here, learnt = both.filter(own), train.filter(own)
        sources.append(
            {
                **{"source": s.source, "slice": s.slice, "share": s.share},
                "share_of_rows": here.height / both.height,
                "share_of_tokens": int(here["tokens"].sum()) / int(both["tokens"].sum()),
                **{
                    "available": s.available,
                    "asked": s.size,
                    "train_rows": learnt.height,
                    "val_rows": val.filter(own).height,
                },
                "repeated_rows": learnt.filter(pl.col("copy") > 0).height,
                "train_tokens": int(learnt["tokens"].sum()),
                "truncated_rows": learnt.filter("truncated").height,
                "licences": sorted(here["licence"].drop_nulls().unique()),
                "models": dict(
                    here.filter(pl.col("model").is_not_null()).group_by("model").len().sort("model").iter_rows()
                ),
            }
        )
    reasons: dict[str, dict[str, int]] = {}
    for source, reason, n in rejected.group_by("source", "reason").len().sort("source", "reason").iter_rows():
        reasons.setdefault(source, {})[reason] = n
    sizes = {"train_rows": train.height, "val_rows": val.height, "train_tokens": int(train["tokens"].sum())}
    return {**sizes, "sources": sources, "rejected": reasons}


def rejected_rows(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.rename({"conversation": "text"}).select(list(MIX_REJECTED))


def write(rows: pl.DataFrame, folder: Path, name: str) -> None:
    lines = output_rows(rows)
    write_jsonl(lines, folder / f"{name}.jsonl")
    frame = (
        pl.DataFrame(lines, infer_schema_length=None) if lines else pl.DataFrame(schema=dict.fromkeys(ROW, pl.String))
    )
    kinds = pl.Schema({name: MIXABLE[name] for name in frame.columns if name in MIXABLE})
    with replacing(folder / f"{name}.parquet") as aside:
        frame.cast(kinds).write_parquet(aside, compression="zstd")
