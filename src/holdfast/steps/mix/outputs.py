"""The files of a mixture: train and val as JSONL and Parquet, and the counts for summary.json."""

import datetime
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from holdfast.chat.dates import FIXED_DATE
from holdfast.common.files import ROW_GROUP, replacing
from holdfast.common.tables import MIX_REJECTED
from holdfast.steps.mix import mixture
from holdfast.steps.mix.messages import FIELDS

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
    """Write rows (MIXABLE) as JSONL and Parquet, `messages` first; without `tools` if no row of the mixture has any."""
    columns = [column for column in ROW[1:] if column != "tools" or rows["tools"].is_not_null().any()]
    with replacing(folder / f"{name}.jsonl") as aside, aside.open("w", encoding="utf-8") as file:
        for talk, row in zip(rows["conversation"], rows.select(columns).iter_rows(named=True), strict=True):
            file.write(f'{{"messages": {talk}, {json.dumps(row, ensure_ascii=False)[1:]}\n')
    messages = pl.col("conversation").str.json_decode(_messages_type(rows["conversation"]))
    with replacing(folder / f"{name}.parquet") as aside:
        rows.lazy().select(messages.alias("messages"), *columns).sink_parquet(
            aside, compression="zstd", maintain_order=True, row_group_size=ROW_GROUP
        )


def _messages_type(conversations: pl.Series) -> pl.List:
    """The type of the messages in JSON texts, with the fields that are there, in the order in which they appear."""
    fields: dict[str, None] = {"role": None, "content": None}
    call: dict[str, None] = {}
    # no text holds an unescaped quotation mark, so these are keys
    more = conversations.str.contains_any([f'"{field}": ' for field in FIELDS])
    for message in (message for talk in conversations.filter(more) for message in json.loads(talk)):
        fields |= dict.fromkeys(message)
        for each in message.get("tool_calls", ()):
            call |= dict.fromkeys(each)
    function = pl.Struct({"name": pl.String, "arguments": pl.String})
    calls = pl.List(pl.Struct({key: function if key == "function" else pl.String for key in call}))
    return pl.List(pl.Struct({field: calls if field == "tool_calls" else pl.String for field in fields}))
