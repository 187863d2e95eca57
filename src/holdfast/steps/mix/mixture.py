"""What goes into a mixture: duplicates out, shares to sizes, rows drawn, split and put in order.

Rows are drawn in the order of a hash of seed and row, so a smaller draw is a part of a larger one (arms at several
ratios share rows), and neither the order of the input nor other sources change it.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from holdfast.common.errors import UserError
from holdfast.common.ids import row_seed
from holdfast.steps.mix.params import Arm


class Stratum(NamedTuple):
    """A source, or one slice of it, and its part of the mixture. Sizes are in rows or tokens, as the arm counts."""

    source: str
    slice: str | None
    share: float
    available: int
    size: int  # what it has to contribute


def drop_duplicates(rows: pl.DataFrame, precedence: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Of a prompt that several sources hold keep only the first source's rows, and of equal conversations there one.

    `rows` has columns source, row_id, content_key, prompt_key; returns the kept and, with reason and detail, the rest.
    """
    rank = pl.col("source").replace_strict(precedence, range(len(precedence)), return_dtype=pl.UInt32)
    first = pl.col("source").sort_by(rank, maintain_order=True).first().over("prompt_key")
    rows = rows.with_columns(_first=first).with_columns(_elsewhere=pl.col("source") != pl.col("_first"))
    # rows of other sources come last: a row that is dropped must not make another one a duplicate
    rows = rows.sort("_elsewhere", "row_id").with_columns(_again=~pl.col("content_key").is_first_distinct())
    reason = pl.when("_elsewhere").then(pl.lit("in_other_source")).when("_again").then(pl.lit("duplicate"))
    detail = (
        pl.when("_elsewhere")
        .then(pl.format("the same prompt is in source {}", "_first"))
        .otherwise(pl.lit("an equal row is kept"))
    )
    return _parted(rows.with_columns(reason=reason, detail=detail).drop("_first", "_elsewhere", "_again"))


def _parted(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    kept = rows.filter(pl.col("reason").is_null()).drop("reason", "detail")
    return kept, rows.filter(pl.col("reason").is_not_null())


def plan(
    rows: pl.DataFrame, name: str, arm: Arm, size_from: str | None, slices: Mapping[str, Mapping[str, float]]
) -> list[Stratum]:
    """The size of every stratum: from the budget, or so that all rows of the source `size_from` are used.

    `rows` has columns source, slice, tokens; `slices` gives the relative shares of slices for sources that have them.
    Raises UserError when a source is too small for its share and the arm's `shortage` is `error`.
    """
    sizes = _available(rows, arm.unit)
    total_share = math.fsum(arm.sources.values())
    parts: list[Stratum] = []
    for source, share in sorted(arm.sources.items()):
        weights = slices.get(source) or {}
        own: list[tuple[str | None, float]] = [(s, w / math.fsum(weights.values())) for s, w in sorted(weights.items())]
        for part, weight in own or [(None, 1.0)]:
            available = sum(n for (s, p), n in sizes.items() if s == source and part in (None, p))
            if not available:
                what = f"slice {part!r} of source {source}" if part else f"source {source}"
                raise UserError(f"arm {name}: {what} has no usable row; see above why, or leave it out of the arm")
            parts.append(Stratum(source, part, share / total_share * weight, available, 0))
    total: float
    if arm.budget is not None:
        total = arm.budget
    else:
        assert size_from is not None
        total = sum(p.available for p in parts if p.source == size_from) / math.fsum(
            p.share for p in parts if p.source == size_from
        )
    sized = _sized(parts, total)
    short = [p for p in sized if p.size > p.available]
    if short and arm.shortage == "shrink":
        sized = _sized(parts, min(total, *(p.available / p.share for p in parts)), down=True)
    elif short and arm.shortage == "error":
        lines = [
            f"{p.source}{f', slice {p.slice}' if p.slice else ''}: {p.size} {arm.unit} needed for its share of"
            f" {p.share:.3g}, {p.available} there, {p.size - p.available} short"
            for p in short
        ]
        raise UserError(
            f"arm {name}: " + "; ".join(lines) + ". Draw more instructions (seed.samples) or add data, change the"
            f" shares, or set arms.{name}.shortage to repeat or shrink"
        )
    return sized


def _available(rows: pl.DataFrame, unit: str) -> dict[tuple[str, str | None], int]:
    size = pl.len() if unit == "rows" else pl.col("tokens").sum()
    return {(s, p): n for s, p, n in rows.group_by("source", "slice").agg(size.cast(pl.Int64).alias("n")).iter_rows()}


def _sized(parts: list[Stratum], total: float, down: bool = False) -> list[Stratum]:
    """Whole sizes by the largest remainder, so that they add up; `down`: never above the exact part."""
    exact = [p.share * total for p in parts]
    floors = [math.floor(x + 1e-9) for x in exact]
    missing = 0 if down else round(math.fsum(exact)) - sum(floors)
    most = sorted(range(len(parts)), key=lambda i: (floors[i] - exact[i], i))[:missing]
    return [p._replace(size=floors[i] + (i in most)) for i, p in enumerate(parts)]


def draw(
    rows: pl.DataFrame, stratum: Stratum, unit: str, validation: float, seed: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The stratum's training and validation rows, drawn from `rows` (source, slice, row_id, prompt_key, tokens).

    Rows with the same prompt stay on one side. A stratum larger than its rows repeats training rows (column `copy`).
    """
    pool = rows.filter(pl.col("source") == stratum.source)
    if stratum.slice is not None:
        pool = pool.filter(pl.col("slice") == stratum.slice)
    pool = _ordered(pool, seed, "draw").with_columns(copy=pl.lit(0, pl.Int64))
    drawn = _prefix(pool, stratum.size, unit)
    held = _held_out(drawn, validation, seed)
    train = drawn.join(held, on="row_id", how="anti", maintain_order="left")
    wanted = stratum.size - _size(held, unit)
    copies = [train]
    while stratum.size > stratum.available and (left := wanted - sum(_size(c, unit) for c in copies)) > 0:
        again = _prefix(train, left, unit).with_columns(copy=pl.lit(len(copies), pl.Int64))
        if again.is_empty():
            break
        copies.append(again)
    return pl.concat(copies), held


def _size(rows: pl.DataFrame, unit: str) -> int:
    return rows.height if unit == "rows" else int(rows["tokens"].sum())


def _ordered(rows: pl.DataFrame, seed: int, purpose: str, *columns: str) -> pl.DataFrame:
    columns = columns or ("row_id",)
    keys = [row_seed(seed, purpose, *parts) for parts in rows.select(columns).iter_rows()]
    return rows.with_columns(_key=pl.Series(keys, dtype=pl.Int64)).sort("_key", *columns, "row_id").drop("_key")


def _prefix(rows: pl.DataFrame, size: int, unit: str) -> pl.DataFrame:
    """The first rows that come nearest to `size`."""
    if unit == "rows":
        return rows.head(size)
    reached = rows["tokens"].cum_sum()
    count = int((reached <= size).sum())
    below = int(reached[count - 1]) if count else 0
    return rows.head(count + (count < rows.height and int(reached[count]) - size < size - below))


def _held_out(drawn: pl.DataFrame, validation: float, seed: int) -> pl.DataFrame:
    """About `validation` of the rows: whole groups of one prompt, at least one and never all."""
    if not validation or drawn["prompt_key"].n_unique() < 2:
        return drawn.clear()
    ordered = _ordered(drawn, seed, "validation", "prompt_key")
    wanted = max(1, round(validation * drawn.height))
    prompts = ordered["prompt_key"].head(wanted).unique()
    if len(prompts) == drawn["prompt_key"].n_unique():
        prompts = prompts.filter(prompts != ordered["prompt_key"][-1])
    return ordered.filter(pl.col("prompt_key").is_in(prompts.implode()))


def shuffled(rows: pl.DataFrame, seed: int) -> pl.DataFrame:
    """All rows in the order of training: by a hash of seed, row and copy."""
    return _ordered(rows, seed, "order", "row_id", "copy")
