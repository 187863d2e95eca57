"""Instructions that are in an evaluation suite or a benchmark: n words in a row in common, or all of a short item."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from holdfast.common.data_files import read_records
from holdfast.common.errors import UserError
from holdfast.common.ids import row_id
from holdfast.text.words import grams, words

_ROWS_AT_ONCE = 50_000


_HITS = {"row": pl.Int64, "item": pl.Int64, "at": pl.Int64}


class Item(NamedTuple):
    """One text that must stay out of the training data."""

    suite: str
    item_id: str
    text: str


def suite_items(suite: str, path: str, fields: Iterable[str]) -> list[Item]:
    """The items of a suite or benchmark file, as `holdfast.records` reads it.

    The text of an item is the first of `fields` that it has, else what the users say in `messages`.
    Raises UserError naming the row.
    """
    items = []
    for record in read_records(path):
        row = record.value
        if row is None:
            raise UserError(
                f"{path} {record.place}: {record.fault}; repair the row, contamination is checked against it"
            )
        texts = _texts(row, fields)
        if texts is None:
            raise UserError(
                f"{path} {record.place}: none of the fields {', '.join(fields)} holds a text; set contamination.fields"
            )
        items += [Item(suite, str(row.get("item_id", row_id("item", suite, text))), text) for text in texts]
    return items


def _texts(row: dict[str, Any], fields: Iterable[str]) -> list[str] | None:
    for field in fields:
        if isinstance(row.get(field), str) and row[field].strip():
            return [row[field]]
    messages = row.get("messages", row.get("prompt"))
    if isinstance(messages, list):
        users = [m for m in messages if isinstance(m, dict) and m.get("role") == "user"]
        return [m["content"] for m in users if isinstance(m.get("content"), str)] or None
    return None


def hits(texts: pl.Series, items: list[Item], ngram: int) -> pl.DataFrame:
    """One row per text and suite that overlap: row (number of the text), suite, item_id (that with the longest span;
    the smallest id if several), items (how many), kind (exact: all words of both; ngram), span (the words in common).

    A text or item of fewer than `ngram` words is hit only by one of the very same words.
    """
    known = _index(items, ngram)
    parts = [
        pl.DataFrame(
            schema={
                "row": pl.Int64,
                "suite": pl.String,
                "item_id": pl.String,
                "items": pl.Int64,
                "kind": pl.String,
                "span": pl.String,
            }
        )
    ]
    for start in range(0, len(texts), _ROWS_AT_ONCE):
        lists = words(texts.slice(start, _ROWS_AT_ONCE))
        found = _overlaps(lists, known, ngram)
        if len(found):
            parts.append(_spans(found, lists, items, ngram).with_columns(pl.col("row") + start))
    return pl.concat(parts)


def _index(items: list[Item], ngram: int) -> pl.DataFrame:
    """Columns hash and item (number): every n-gram of every item."""
    found = grams(words(pl.Series([item.text for item in items], dtype=pl.String)), ngram)
    return pl.DataFrame(
        {"hash": found.hashes, "item": found.rows()}, schema={"hash": pl.UInt64, "item": pl.Int64}
    ).unique()


def _overlaps(lists: pl.Series, known: pl.DataFrame, ngram: int) -> pl.DataFrame:
    """Columns row, item, at (the place of a shared n-gram in the text)."""
    found = grams(lists, ngram)
    shared = np.flatnonzero(np.isin(found.hashes, known["hash"].to_numpy()))
    row = found.rows()[shared]
    here = pl.DataFrame({"hash": found.hashes[shared], "row": row, "at": shared - found.offsets[row]})
    return here.join(known, on="hash").select(pl.col(name).cast(kind) for name, kind in _HITS.items())


def _spans(found: pl.DataFrame, lists: pl.Series, items: list[Item], ngram: int) -> pl.DataFrame:
    """The longest run of shared n-grams per row and item, then the best item per row and suite."""
    runs = (
        found.sort("row", "item", "at")
        .with_columns(run=pl.col("at") - pl.int_range(pl.len()).over("row", "item"))
        .group_by("row", "item", "run")
        .agg(at=pl.col("at").min(), length=pl.len().cast(pl.Int64) + ngram - 1)
    )
    names = pl.DataFrame(
        {"item": range(len(items)), "suite": [i.suite for i in items], "item_id": [i.item_id for i in items]},
        schema={"item": pl.Int64, "suite": pl.String, "item_id": pl.String},
    )
    best = (
        runs.join(names, on="item")
        .sort("row", "suite", -pl.col("length"), "item_id", "at")
        .group_by("row", "suite", maintain_order=True)
        .agg(pl.first("item_id", "item", "at", "length"), items=pl.col("item").n_unique().cast(pl.Int64))
    )
    other = words(pl.Series([items[k].text for k in best["item"]], dtype=pl.String))
    return (
        best.with_columns(own=lists.gather(best["row"]), other=other)
        .with_columns(
            kind=pl.when(pl.col("own") == pl.col("other")).then(pl.lit("exact")).otherwise(pl.lit("ngram")),
            span=pl.col("own").list.slice("at", "length").list.join(" "),
        )
        .select("row", "suite", "item_id", "items", "kind", "span")
    )
