"""Reading and writing the files of steps; an output is written aside and renamed, so it is complete or absent."""

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from holdfast.common.errors import UserError, first_line

ROW_GROUP = 65_536  # fixed: left to itself, Polars cuts groups by the number of threads and the bytes differ


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a path beside `path` to write to (a file, or a folder to be made); on success it takes `path`'s place.

    The rename is atomic on one file system. On failure the half-written file is removed and `path` is untouched.
    Raises UserError when the disk is full or the place cannot be written.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.parent / f".{target.name}.{os.getpid()}.part"
    try:
        yield aside
        if aside.is_dir():
            if target.exists():
                shutil.rmtree(target)
        else:
            with aside.open("rb") as written:
                os.fsync(written.fileno())
        os.replace(aside, target)
    except OSError as error:
        raise UserError(
            f"{target}: cannot be written: {error.strerror or error}; free space or fix permissions"
        ) from error
    except pl.exceptions.ComputeError as error:  # what Polars makes of a full disk
        code = re.search(r"\(os error (\d+)\)", str(error))
        if code is None or int(code[1]) not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise UserError(f"{target}: cannot be written: {os.strerror(int(code[1]))}; free space") from error
    finally:
        if aside.is_dir():
            shutil.rmtree(aside)
        else:
            aside.unlink(missing_ok=True)


def write_table(frame: pl.DataFrame | pl.LazyFrame, path: str | os.PathLike[str], schema: dict[str, Any]) -> None:
    """Write `frame` as Parquet with exactly the columns of `schema` (of `holdfast.common.tables`), streamed if lazy.

    A missing or extra column or another type is our own bug: AssertionError.
    """
    found = dict(frame.collect_schema())
    assert list(found) == list(schema), f"{path}: columns {list(found)} instead of {list(schema)}"
    assert found == schema, (
        f"{path}: types differ: { ({k: (found[k], schema[k]) for k in schema if found[k] != schema[k]}) }"
    )
    with replacing(path) as aside:
        if isinstance(frame, pl.LazyFrame):
            frame.sink_parquet(aside, compression="zstd", maintain_order=True, row_group_size=ROW_GROUP)
        else:
            frame.write_parquet(aside, compression="zstd", row_group_size=ROW_GROUP)


def scan_parquet(path: str | os.PathLike[str]) -> pl.LazyFrame:
    """Scan a Parquet table that a step wrote. Raises UserError naming the file when it is missing or truncated."""
    try:
        frame = pl.scan_parquet(Path(path))
        frame.collect_schema()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UserError(f"{path}: not a readable Parquet file ({first_line(error)}); build it again") from error
    return frame


def scan_table(path: str | os.PathLike[str], schema: dict[str, Any]) -> pl.LazyFrame:
    """As `scan_parquet`, with the columns of `schema` only. Raises UserError also when one is missing or of another
    type."""
    frame = scan_parquet(path)
    found = dict(frame.collect_schema())
    wrong = [name for name, kind in schema.items() if found.get(name) != kind]
    if wrong:
        raise UserError(
            f"{path}: column {wrong[0]!r} is {found.get(wrong[0], 'missing')}, expected {schema[wrong[0]]}; "
            "build it again"
        )
    return frame.select(list(schema))


def scan_tables(paths: Iterable[str], schema: dict[str, Any]) -> pl.LazyFrame:
    """As `scan_table`, of several files as one table, in the order of their paths."""
    return pl.concat([scan_table(path, schema) for path in sorted(paths)])


def write_text(text: str, path: str | os.PathLike[str]) -> None:
    """Write a text file (UTF-8)."""
    with replacing(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(value: Any, path: str | os.PathLike[str]) -> None:
    """Write `value` as indented JSON with sorted keys."""
    write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", path)


def write_jsonl(rows: Iterable[Any], path: str | os.PathLike[str], **options: Any) -> None:
    """Write a JSONL file; `options` of `json.dumps`."""
    write_text("".join(json.dumps(row, **{"ensure_ascii": False} | options) + "\n" for row in rows), path)


def read_json(path: str | os.PathLike[str]) -> Any:
    """The content of a JSON file that a step wrote. Raises UserError when it is missing or damaged."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; build it with `snakemake --cores all`") from error
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); build it again with `snakemake --cores all`") from error


def digest(path: str) -> str:
    """sha256 of a file, or of a folder's file names and contents."""
    found = hashlib.sha256()
    for file in [Path(path)] if Path(path).is_file() else sorted(p for p in Path(path).rglob("*") if p.is_file()):
        if not Path(path).is_file():
            found.update(f"{file.relative_to(path)}\0".encode())
        with file.open("rb") as content:
            while block := content.read(1 << 20):
                found.update(block)
    return found.hexdigest()
