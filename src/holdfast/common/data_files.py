"""Rows of a data file in any of the forms that people have, each with its place in the file or its fault."""

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from holdfast.common.csv_rows import csv_rows
from holdfast.common.data_form import form_of, refuse_pointers
from holdfast.common.errors import UserError, first_line

SPLITS = {"train", "test", "validation", "valid", "val", "dev", "eval"}


class Record(NamedTuple):
    """One row of a file: `value` (column -> value), or why there is none."""

    place: str  # "line 12", or "row 3" where a file has no lines
    value: dict[str, Any] | None
    fault: str | None = None
    text: str = ""  # what a faulty row looked like
    nulls: tuple[str, ...] = ()  # Arrow only: dotted paths of nested keys that were null and are left out of `value`


def read_records(path: str, form: str | None = None, split: str | None = "train") -> Iterator[Record]:
    """The rows of a file or folder; `form` (jsonl, json, csv, parquet, dataset) is told by name and content if None.

    `split` is that of a `datasets` folder or of a JSON file `{"train": [rows], …}`; None takes all of them.
    Arrow gives all objects of a column the union of their keys: in rows of Parquet files and `datasets` folders, null
    keys of nested objects are left out.
    Raises UserError where the file as a whole cannot be read: missing, empty, compressed, truncated, not UTF-8.
    """
    readers = {"jsonl": _jsonl, "json": _json, "csv": _csv, "parquet": _parquet, "dataset": _dataset}
    try:
        refuse_pointers(path)
        yield from readers[form or form_of(path)](path, split)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error


def read_rows(path: str, form: str | None = None, split: str | None = "train") -> Iterator[tuple[str, dict[str, Any]]]:
    """(file and place, row) of each row, as `read_records`. Raises UserError also at the first faulty row."""
    for record in read_records(path, form, split):
        if record.value is None:
            raise UserError(f"{path} {record.place}: {record.fault}; repair the row or remove it")
        yield f"{path} {record.place}", record.value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _jsonl(path: str, _split: str | None) -> Iterator[Record]:
    found = False
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if not line.strip():
                continue
            found = True
            place, text = f"line {number}", line.decode("utf-8", "replace").rstrip("\r\n")
            try:
                value = json.loads(line.decode("utf-8"), parse_constant=_no_constant)
            except UnicodeDecodeError as error:
                yield Record(place, None, f"not UTF-8: byte 0x{line[error.start]:02x} at byte {error.start + 1}", text)
            except json.JSONDecodeError as error:
                early = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated")
                cut = " (the line ends early)" if early else ""
                yield Record(place, None, f"not JSON: {error.msg} at column {error.colno}{cut}", text)
            except (ValueError, RecursionError) as error:
                yield Record(place, None, f"not JSON: {error}", text)
            else:
                yield _row(place, value)
    if not found:
        raise UserError(f"{path}: is empty")


def _row(place: str, value: Any) -> Record:
    if isinstance(value, dict):
        return Record(place, value)
    return Record(place, None, f"an object is expected, found {_kind(value)}", json.dumps(value, ensure_ascii=False))


def _kind(value: Any) -> str:
    return {list: "a list", str: "a text", type(None): "null", bool: "a truth value"}.get(type(value), "a number")


def _json(path: str, split: str | None) -> Iterator[Record]:
    try:
        value = json.loads(_text(path), parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path} line {error.lineno}: not JSON: {error.msg} at column {error.colno}; repair or cut it there"
        ) from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON: {error}") from error
    if isinstance(value, dict):
        value = _unwrapped(path, value, split)
    if not isinstance(value, list):
        raise UserError(f"{path}: a list of objects is expected, found {_kind(value)}")
    if not value:
        raise UserError(f"{path}: is an empty list")
    for number, row in enumerate(value, 1):
        yield _row(f"row {number}", row)


def _unwrapped(path: str, value: dict[str, Any], split: str | None) -> list[Any]:
    """The rows of a JSON object: the split's, where it is made of splits; the one list of objects; or itself, a row."""
    lists = [key for key, rows in value.items() if isinstance(rows, list) and rows and isinstance(rows[0], dict)]
    if len(lists) == len(value) > 1 and SPLITS & set(lists):
        return [row for rows in _chosen(path, value, split) for row in rows]
    wrapped = len(lists) == 1 and lists[0] not in ("messages", "conversations")
    return list(value[lists[0]]) if wrapped else [value]


def _text(path: str) -> str:
    data = Path(path).read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path} line {line}: not UTF-8: byte 0x{data[error.start]:02x}; save the file as UTF-8"
        ) from error


def _csv(path: str, _split: str | None) -> Iterator[Record]:
    yield from (Record(*row) for row in csv_rows(path, _text(path)))


def _parquet(path: str, _split: str | None) -> Iterator[Record]:
    try:
        rows = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{path}: not a readable Parquet file ({first_line(error)}); write it again") from error
    yield from _arrow_rows(rows.iter_rows(named=True))


def _arrow_rows(rows: Iterable[dict[str, Any]]) -> Iterator[Record]:
    for number, row in enumerate(rows, 1):
        nulls: dict[str, None] = {}
        value = {name: _without_nulls(value, name, nulls) for name, value in row.items()}
        yield Record(f"row {number}", value, nulls=tuple(nulls))


def _without_nulls(value: Any, path: str, nulls: dict[str, None]) -> Any:
    """`value` without the null keys of its objects; nulls in lists stay, Arrow adds none there."""
    if isinstance(value, dict):
        nulls |= {f"{path}.{key}": None for key, inner in value.items() if inner is None}
        return {k: _without_nulls(inner, f"{path}.{k}", nulls) for k, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner, path, nulls) for inner in value]
    return value


def _dataset(path: str, split: str | None) -> Iterator[Record]:
    import datasets  # takes seconds to import

    datasets.disable_progress_bars()
    try:
        if any((Path(path) / name).exists() for name in ("dataset_dict.json", "dataset_info.json", "state.json")):
            loaded = datasets.load_from_disk(path)
            parts = dict(loaded) if isinstance(loaded, datasets.DatasetDict) else {split or "train": loaded}
            yield from _arrow_rows(chain(*_chosen(path, parts, split)))
        else:
            with tempfile.TemporaryDirectory() as cache:
                parts = dict(datasets.load_dataset(path, cache_dir=cache))
                yield from _arrow_rows(chain(*_chosen(path, parts, split)))
    except UserError:
        raise
    except Exception as error:  # whatever Arrow, fsspec and the builders raise
        raise UserError(f"{path}: not a folder that Hugging Face `datasets` can load: {first_line(error)}") from error


def _chosen(path: str, parts: Mapping[str, Any], split: str | None) -> list[Any]:
    """The rows of the split, or of each one where `split` is None."""
    if split is not None and split not in parts:
        raise UserError(f"{path}: has no split {split!r}, only {', '.join(sorted(parts))}; set `split` of the source")
    return [parts[name] for name in (sorted(parts) if split is None else [split])]
