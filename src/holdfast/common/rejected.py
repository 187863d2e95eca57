"""Rows that a step keeps, and those that it drops with a reason."""

import polars as pl


def split_by_reason(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows whose `reason` is null, without the columns `reason` and `detail`; and the others."""
    kept = pl.col("reason").is_null()
    return rows.filter(kept).drop("reason", "detail"), rows.filter(~kept)


def drop_with_reasons(rows: pl.DataFrame, reasons: pl.DataFrame, key: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """As `split_by_reason`, with the `reason` and `detail` that the table `reasons` has for some values of `key`."""
    return split_by_reason(rows.join(reasons, on=key, how="left", maintain_order="left"))
