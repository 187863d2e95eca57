"""Rows of a data file in any of the forms that people have, each with its place in the file or its fault."""

import csv
import io
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from holdfast.common.errors import UserError


class Record(NamedTuple):
    """One row of a file: `value` (column -> value), or why there is none."""

    place: str  # "line 12", or "row 3" where a file has no lines
    value: dict[str, Any] | None
    fault: str | None = None
    text: str = ""  # what a faulty row looked like


def read_records(path: str, form: str | None = None, split: str = "train") -> Iterator[Record]:
    """The rows of a file or folder; `form` (jsonl, json, csv, parquet, dataset) is told by name and content if None.

    Raises UserError where the file as a whole cannot be read: missing, empty, compressed, truncated, not UTF-8.
    """
    try:
        form = form or _form(path)
        reader = {"jsonl": _jsonl, "json": _json, "csv": _csv, "parquet": _parquet}.get(form)
        yield from reader(path) if reader else _dataset(path, split)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error


def _form(path: str) -> str:
    if Path(path).is_dir():
        return "dataset"
    with open(path, "rb") as file:
        head = file.read(65536)
    if head[:4] == b"PAR1":
        return "parquet"
    for magic, what in (
        (b"\x1f\x8b", "gzip"),
        (b"PK\x03\x04", "zip or Excel"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"BZh", "bzip2"),
    ):
        if head.startswith(magic):
            raise UserError(f"{path}: is a {what} file; unpack or export it as JSONL, JSON, CSV or Parquet")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UserError(f"{path}: is UTF-16; save it as UTF-8")
    suffix = Path(path).suffix.lower()
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start:
        raise UserError(f"{path}: is empty")
    if suffix in (".csv", ".tsv"):
        return "csv"
    kind = {b"[": list, b"{": dict}.get(start[:1])
    if kind:
        lines = start.rstrip().splitlines()
        rows = len(lines) > 1 and _parses_as(kind, lines[0])  # one line alone may wrap the rows, or be the only one
        return "jsonl" if rows or (kind is dict and suffix == ".jsonl") else "json"
    if suffix in (".jsonl", ".json", ".parquet"):
        return suffix[1:]
    raise UserError(f"{path}: neither JSONL, JSON, CSV nor Parquet by name or content; set `format` of the source")


def _parses_as(kind: type, line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), kind)
    except ValueError:
        return False


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _jsonl(path: str) -> Iterator[Record]:
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


def _json(path: str) -> Iterator[Record]:
    try:
        value = json.loads(_text(path), parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path} line {error.lineno}: not JSON: {error.msg} at column {error.colno}; repair or cut it there"
        ) from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON: {error}") from error
    if isinstance(value, dict):
        lists = [key for key, rows in value.items() if isinstance(rows, list) and rows and isinstance(rows[0], dict)]
        wrapped = len(lists) == 1 and lists[0] not in ("messages", "conversations")
        value = value[lists[0]] if wrapped else [value]
    if not isinstance(value, list):
        raise UserError(f"{path}: a list of objects is expected, found {_kind(value)}")
    if not value:
        raise UserError(f"{path}: is an empty list")
    for number, row in enumerate(value, 1):
        yield _row(f"row {number}", row)


def _text(path: str) -> str:
    data = Path(path).read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path} line {line}: not UTF-8: byte 0x{data[error.start]:02x}; save the file as UTF-8"
        ) from error


def _csv(path: str) -> Iterator[Record]:
    text = _text(path)
    if "\0" in text:
        raise UserError(
            f"{path} line {text.count(chr(10), 0, text.index(chr(0))) + 1}: holds a NUL character; remove it"
        )
    header = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=header.count)
    csv.field_size_limit(sys.maxsize)
    lines = io.StringIO(text, newline="")  # lines end as CSV's do: str.splitlines also cuts at U+2028 and others
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    last = 0
    try:
        names = next(reader, [])
        if len(set(names)) < len(names):
            raise UserError(
                f"{path} line 1: column {max(names, key=names.count)!r} occurs twice in the header; rename one"
            )
        last = reader.line_num
        for fields in reader:
            place, last = f"line {last + 1}", reader.line_num
            if not fields:
                continue
            if len(fields) == len(names):
                yield Record(place, dict(zip(names, fields, strict=True)))
            else:
                yield Record(
                    place, None, f"{len(fields)} fields, but the header has {len(names)}", delimiter.join(fields)
                )
    except csv.Error as error:
        raise UserError(f"{path} line {last + 1}: not CSV: {error} (a quote that is not closed?)") from error


def _parquet(path: str) -> Iterator[Record]:
    try:
        rows = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(
            f"{path}: not a readable Parquet file ({str(error).splitlines()[0]}); write it again"
        ) from error
    for number, row in enumerate(rows.iter_rows(named=True), 1):
        yield Record(f"row {number}", row)


def _dataset(path: str, split: str) -> Iterator[Record]:
    import datasets  # takes seconds to import

    datasets.disable_progress_bars()
    try:
        if any((Path(path) / name).exists() for name in ("dataset_dict.json", "dataset_info.json", "state.json")):
            loaded = datasets.load_from_disk(path)
            parts = dict(loaded) if isinstance(loaded, datasets.DatasetDict) else {split: loaded}
            yield from _split(path, parts, split)
        else:
            with tempfile.TemporaryDirectory() as cache:
                yield from _split(path, dict(datasets.load_dataset(path, cache_dir=cache)), split)
    except UserError:
        raise
    except Exception as error:  # whatever Arrow, fsspec and the builders raise
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{path}: not a folder that Hugging Face `datasets` can load: {first}") from error


def _split(path: str, parts: dict[str, Any], split: str) -> Iterator[Record]:
    if split not in parts:
        raise UserError(f"{path}: has no split {split!r}, only {', '.join(sorted(parts))}; set `split` of the source")
    for number, row in enumerate(parts[split], 1):
        yield Record(f"row {number}", row)
