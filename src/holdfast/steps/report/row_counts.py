"""How many rows each table of the pipeline has, and how many its job dropped, by reason."""

from pathlib import Path
from typing import NamedTuple

import polars as pl

from holdfast.common.files import read_json, scan_parquet


class TableCount(NamedTuple):
    """Rows of one table; `rejected` holds (reason, rows) of what its job dropped, the most frequent first."""

    step: str
    name: str
    rows: int
    rejected: list[tuple[str, int]]
    note: str


def count_table(path: str, rejected: dict[str, str]) -> TableCount:
    """Count the table at `path` (data/<step>/<name>.parquet, or the summary.json of a mixture).

    `rejected`: the file of dropped rows by the table or folder that it belongs to (`rejected_files`).
    """
    file = Path(path)
    step = file.parts[1]
    if file.name == "summary.json":
        name, rows, note = file.parent.name, *_mixture(file)
        dropped = rejected.get(str(file.parent), "")
    else:
        name, frame = file.stem, scan_parquet(path)
        rows = frame.select(pl.len()).collect().item()
        note = _note(step, frame)
        dropped = rejected.get(str(file.with_suffix("")), rejected.get(str(file.parent), ""))
    return TableCount(step, name, rows, _reasons(dropped) if dropped else [], note)


def rejected_files(paths: list[str]) -> dict[str, str]:
    """The files of dropped rows by owner: `x.rejected.parquet` belongs to table x, `rejected.parquet` to its folder."""
    found = {}
    for path in paths:
        file = Path(path)
        owner = (
            file.parent
            if file.name == "rejected.parquet"
            else file.parent / file.name.removesuffix(".rejected.parquet")
        )
        found[str(owner)] = path
    return found


def _reasons(path: str) -> list[tuple[str, int]]:
    counts = scan_parquet(path).group_by("reason").agg(rows=pl.len())
    return list(counts.sort(["rows", "reason"], descending=[True, False]).collect().iter_rows())


def _mixture(file: Path) -> tuple[int, str]:
    """Training rows of a mixture by its summary.json, and what each source gives it."""
    summary = read_json(file)
    shares = [f"{source['source']} {source['train_rows'] / summary['train_rows']:.1%}" for source in summary["sources"]]
    kept = [
        f"{c['source']} {c['rows']:,} of {c['suite']}" for c in summary["contamination"] if c["action"] == "reported"
    ]
    warning = f"; WARNING: rows with evaluation items: {', '.join(kept)}" if kept else ""
    return summary["train_rows"], ", ".join(shares) + warning


def _note(step: str, frame: pl.LazyFrame) -> str:
    """Further figures of a table, by step."""
    if step == "seed":
        return f"{frame.select(pl.col('samples').sum()).collect().item():,} samples to draw"
    if step == "clean":
        drawn = frame.select(pl.col("count").sum()).collect().item()
        return f"{drawn:,} clean samples, exact duplicates collapsed"
    if step == "score":
        counts = frame.group_by("status").agg(rows=pl.len()).sort("status").collect()
        return ", ".join(f"{rows:,} {status}" for status, rows in counts.iter_rows())
    return ""
