"""From the rows of an arm's sources to its mixture: remove duplicates, allocate sizes by share, draw, split, shuffle.

Rows are drawn in the order of a hash of seed and row, or in one that follows from it (`arrangement`). So a smaller draw
is a subset of a larger one (arms at several ratios share rows), and neither row order nor the other sources matter.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import polars as pl

from holdfast.common.errors import UserError
from holdfast.common.ids import row_seed
from holdfast.common.rejected import split_by_reason
from holdfast.common.shares import NEARLY_WHOLE, largest_remainders
from holdfast.steps.mix.params import Arm


class Allocation(NamedTuple):
    """A source, or one slice of it, and its part of the mixture. Sizes are in the arm's `unit`, rows or tokens."""

    source: str
    slice: str | None
    share: float  # of the mixture
    available: int
    size: int  # in the mixture


def drop_duplicates(rows: pl.DataFrame, precedence: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Keep one of equal conversations, and of a prompt that several sources have the rows of the first source only.

    `rows` has columns source, row_id, content_key, prompt_key; `precedence`: sources, the first one wins. Returns the
    kept rows and, with reason and detail, the others.
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
    return split_by_reason(rows.with_columns(reason=reason, detail=detail).drop("_first", "_elsewhere", "_again"))


def allocate(
    rows: pl.DataFrame, name: str, arm: Arm, size_from: str | None, slices: Mapping[str, Mapping[str, float]]
) -> list[Allocation]:
    """The size of every source or slice: from the budget, or so that all rows of the source `size_from` are used.

    `rows` has columns source, slice, tokens; `slices` gives the relative shares of slices for sources that have them.
    Raises UserError when a source is too small for its share and the arm's `shortage` is `error`.
    """
    sizes = _available(rows, arm.unit)
    total_share = math.fsum(arm.sources.values())
    parts: list[Allocation] = []
    for source, share in sorted(arm.sources.items()):
        weights = slices.get(source) or {}
        own: list[tuple[str | None, float]] = [(s, w / math.fsum(weights.values())) for s, w in sorted(weights.items())]
        for part, weight in own or [(None, 1.0)]:
            available = sum(n for (s, p), n in sizes.items() if s == source and part in (None, p))
            if not available:
                what = f"slice {part!r} of source {source}" if part else f"source {source}"
                raise UserError(f"arm {name}: {what} has no usable row; see the log for the reasons, or remove it")
            parts.append(Allocation(source, part, share / total_share * weight, available, 0))
    total: float
    if arm.budget is not None:
        total = arm.budget
    else:
        assert size_from is not None
        total = sum(p.available for p in parts if p.source == size_from) / math.fsum(
            p.share for p in parts if p.source == size_from
        )
    counts = largest_remainders({(p.source, p.slice or ""): p.share * total for p in parts})
    sized = [p._replace(size=counts[p.source, p.slice or ""]) for p in parts]
    short = [p for p in sized if p.size > p.available]
    if short and arm.shortage == "shrink":
        total = min(total, *(p.available / p.share for p in parts))
        return [p._replace(size=math.floor(p.share * total + NEARLY_WHOLE)) for p in parts]
    if short and arm.shortage == "error":
        lines = [
            f"{p.source}{f', slice {p.slice}' if p.slice else ''}: {p.size} {arm.unit} needed for its share of"
            f" {p.share:.3g}, {p.available} available, {p.size - p.available} short"
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


def draw(
    rows: pl.DataFrame,
    part: Allocation,
    unit: str,
    validation: float,
    seed: int,
    arranged: Callable[[pl.DataFrame], pl.DataFrame] | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Training and validation rows of `part`, drawn from `rows` (source, slice, row_id, prompt_key, tokens).

    `arranged` puts the rows, which are in the order of their hashes, in another order to draw them in.
    Rows with the same prompt stay on one side. If it needs more rows than there are, training rows are repeated (column
    `copy`: 0, 1, …).
    """
    pool = rows.filter(pl.col("source") == part.source)
    if part.slice is not None:
        pool = pool.filter(pl.col("slice") == part.slice)
    pool = _ordered(pool, seed, "draw")
    if arranged is not None:
        pool = arranged(pool)
    pool = pool.with_columns(copy=pl.lit(0, pl.Int64))
    drawn = _prefix(pool, part.size, unit)
    held = _held_out(drawn, validation, seed)
    train = drawn.join(held, on="row_id", how="anti", maintain_order="left")
    wanted = part.size - _size(held, unit)
    copies = [train]
    while part.size > part.available and (left := wanted - sum(_size(c, unit) for c in copies)) > 0:
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
    """As many of the first rows as come nearest to `size`."""
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
