"""Texts that hold an item of an evaluation suite or a benchmark.

Three kinds of hits: `exact` (text and item have the same words), `whole` (all words of an item within a longer text),
`ngram` (n words in a row in common). Upper case, white space and punctuation make no difference.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from holdfast.common.tables import OVERLAP
from holdfast.text.benchmark_items import Item
from holdfast.text.words import UNSPACED, runs_of_words, words

HITS = {"id": pl.String, **OVERLAP}

_ROWS_AT_ONCE = 50_000

_SHORTEST_WITHIN = 5  # words: shorter items are part of too many other texts ("Who are you?")

# A run of words in more of a suite's items than this share (and numbers) is their common phrasing, no sign of an item
_COMMON_SHARE, _COMMON_AT_LEAST, _COMMON_AT_MOST = 0.01, 10, 50

# What people put around a question: "Question: …", "Please solve: …", "… Answer:"
_OPENING = (
    r"(?i)^\W*(?:(?:please |kindly |now )*(?:solve|answer|complete|respond to)(?: (?:the|this|following|next))*"
    r"(?: (?:question|problem|task|exercise))?|question|q|problem|task|exercise|query|prompt|instruction|input|user)"
    r"(?: ?\d+)?\s*[:：]"
)
_CLOSING = r"(?i)(?:\b(?:the |your |final )*(?:answer|a|solution|response|output))\s*[:：]\s*$"
_FRAME_WORDS = 12  # that both of these have at most

_MATCHES = {"row": pl.Int64, "item": pl.Int64, "at": pl.Int64, "length": pl.Int64}


class _Runs(NamedTuple):
    """Runs of words of one length that are looked for (columns hash, item), and which low bits their hashes have."""

    items: pl.DataFrame
    low_bits: npt.NDArray[np.bool_]


class _Index(NamedTuple):
    """`items` (item, suite, item_id, words, count); what is looked for within texts, by length; and the items that only
    a whole text can be (words, joined, and item)."""

    items: pl.DataFrame
    runs: dict[int, _Runs]
    alone: pl.DataFrame


def hits(texts: pl.DataFrame, items: list[Item], ngram: int) -> pl.DataFrame:
    """Which of `texts` hold which item; columns of `HITS`, one row per id and suite that overlap, sorted.

    `texts` has columns id and text; several rows of one id (the turns of a conversation) count together. item_id is the
    item with the longest span, of several the smallest; items: how many of the suite's are found in that text; span:
    the words in common.

    An item of fewer than `ngram` words is found within a text if it has 5 words (two characters of a script without
    spaces count as one) and its suite only once; else only where the text is nothing more, "Question: … Answer:" and
    the like apart. Runs without a letter, and those that many of a suite's items share, are no hits.
    """
    known = _index(items, ngram)
    parts = [pl.DataFrame(schema=HITS)]
    for start in range(0, len(texts), _ROWS_AT_ONCE):
        some = texts.slice(start, _ROWS_AT_ONCE)
        lists = words(some["text"])
        found = pl.concat([_within(lists, known), _alone(some["text"], lists, known)])
        if len(found):
            best = _best(found, lists, known.items)
            parts.append(best.with_columns(id=some["id"].cast(pl.String).gather(best["row"])).select(list(HITS)))
    return (
        pl.concat(parts)
        .sort("id", "suite", -pl.col("span").str.count_matches(" ").cast(pl.Int64), "item_id", "kind")
        .unique(["id", "suite"], keep="first", maintain_order=True)
    )


def _index(items: list[Item], ngram: int) -> _Index:
    table = pl.DataFrame(items, schema={"suite": pl.String, "item_id": pl.String, "text": pl.String}, orient="row")
    lists = words(_unframed(table["text"]))
    half_words = lists.list.eval(pl.element().str.contains(f"^[{UNSPACED}]$")).list.sum() / 2
    table = table.select(
        pl.int_range(pl.len()).alias("item"), "suite", "item_id", words=lists, count=lists.list.len().cast(pl.Int64)
    )
    distinct = pl.struct("suite", "words").is_unique()  # "Which of these is true?" asks nothing without its choices
    within = (pl.col("count") >= ngram) | ((pl.col("count") - half_words >= _SHORTEST_WITHIN) & distinct)
    table = table.with_columns(length=pl.when(within).then(pl.min_horizontal("count", ngram)))
    wanted = table["length"].fill_null(0).to_numpy()
    lettered = np.cumsum([0, *lists.explode(empty_as_null=False).str.contains(r"\p{L}")])
    parts = [pl.DataFrame(schema={"length": pl.Int64, "hash": pl.UInt64, "item": pl.Int64})]
    for length, hashes, row, first in runs_of_words(lists, range(1, ngram + 1)):
        good = (wanted[row] == length) & (lettered[first + length] > lettered[first])
        some = {"length": np.full(good.sum(), length), "hash": hashes[good], "item": row[good]}
        parts.append(pl.DataFrame(some, schema=parts[0].schema))
    runs = _uncommon(pl.concat(parts).unique(), table)
    alone = table.filter(pl.col("count") > 0).join(runs, on="item", how="anti")
    return _Index(
        table,
        {int(str(length)): _runs(some) for (length,), some in runs.group_by("length")},
        alone.select("item", "count", words=pl.col("words").list.join(" ")),
    )


def _uncommon(runs: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """`runs` without those that many items of their suite share."""
    sizes = items.group_by("suite").agg(size=pl.col("item_id").n_unique())
    most = (pl.col("size") * _COMMON_SHARE).clip(_COMMON_AT_LEAST, _COMMON_AT_MOST)
    holding = pl.col("item_id").n_unique().over("suite", "length", "hash")
    named = runs.join(items.select("item", "suite", "item_id"), on="item").join(sizes, on="suite")
    return named.filter(holding <= most).select(runs.columns)


def _runs(some: pl.DataFrame) -> _Runs:
    hashes = some["hash"].to_numpy()
    low_bits = np.zeros(1 << max(16, (16 * len(hashes)).bit_length()), dtype=np.bool_)
    low_bits[hashes & np.uint64(len(low_bits) - 1)] = True
    return _Runs(some.select("hash", "item"), low_bits)


def _unframed(texts: pl.Series) -> pl.Series:
    """Without what people put around a question, unless nothing is left."""
    bare = texts.str.replace(_OPENING, "").str.replace(_CLOSING, "")
    return bare.zip_with(bare.str.contains(r"[\p{L}\p{N}]"), texts)


def _within(lists: pl.Series, known: _Index) -> pl.DataFrame:
    """`_MATCHES`: row and item have the `length` words from `at` on in common; runs that overlap are one."""
    parts = [pl.DataFrame(schema=_MATCHES)]
    starts = np.concatenate([[0], np.cumsum(lists.list.len().to_numpy())]).astype(np.int64)
    for length, hashes, row, first in runs_of_words(lists, known.runs.keys()):
        wanted = known.runs[length]
        maybe = np.flatnonzero(wanted.low_bits[hashes & np.uint64(len(wanted.low_bits) - 1)])
        here = {"hash": hashes[maybe], "row": row[maybe], "at": first[maybe] - starts[row[maybe]]}
        found = pl.DataFrame(here).join(wanted.items, on="hash").with_columns(length=pl.lit(length))
        parts.append(found.select(pl.col(name).cast(kind) for name, kind in _MATCHES.items()))
    return (
        pl.concat(parts)
        .sort("row", "item", "at")
        .with_columns(run=pl.col("at") - pl.int_range(pl.len()).over("row", "item"))
        .group_by("row", "item", "run")
        .agg(pl.col("at").min(), length=pl.col("length").first() + pl.len().cast(pl.Int64) - 1)
        .select(list(_MATCHES))
    )


def _alone(texts: pl.Series, lists: pl.Series, known: _Index) -> pl.DataFrame:
    """`_MATCHES`: the text is the item and nothing else, or what people put around it."""
    if known.alone.is_empty():
        return pl.DataFrame(schema=_MATCHES)
    rows = (lists.list.len() <= int(known.alone["count"].to_numpy().max()) + _FRAME_WORDS).arg_true()
    said = words(_unframed(texts.gather(rows))).list.join(" ")
    return (
        pl.DataFrame({"row": rows, "words": said})
        .join(known.alone, on="words")
        .with_columns(at=pl.lit(0), length="count")
        .select(pl.col(name).cast(kind) for name, kind in _MATCHES.items())
    )


def _best(found: pl.DataFrame, lists: pl.Series, items: pl.DataFrame) -> pl.DataFrame:
    """Of each row and suite the item with the longest span: columns row and all of `HITS` but id."""
    best = (
        found.join(items, on="item")
        .sort("row", "suite", -pl.col("length"), "item_id", "at")
        .group_by("row", "suite", maintain_order=True)
        .agg(pl.first("item_id", "at", "length", "words", "count"), items=pl.col("item").n_unique().cast(pl.Int64))
    )
    every_word = pl.col("length") >= pl.col("count")
    same = pl.col("own") == pl.col("words")
    return best.with_columns(own=lists.gather(best["row"])).with_columns(
        kind=pl.when(same).then(pl.lit("exact")).when(every_word).then(pl.lit("whole")).otherwise(pl.lit("ngram")),
        span=pl.when(every_word).then("words").otherwise(pl.col("own").list.slice("at", "length")).list.join(" "),
    )
