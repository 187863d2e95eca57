"""The form of a data file, told by its name and its first bytes; what is no data file is named."""

import json
from pathlib import Path

from holdfast.common.errors import UserError

_POINTER = b"version https://git-lfs.github.com/spec/"
_PACKED = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip or Excel",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\xd0\xcf\x11\xe0": "old Excel",
}


def refuse_pointers(path: str) -> None:
    """Raises UserError where the file, or one in the folder, is what Git LFS leaves in place of the data."""
    folder = Path(path)
    for file in sorted(f for f in folder.rglob("*") if f.is_file()) if folder.is_dir() else [folder]:
        with file.open("rb") as content:
            if content.read(len(_POINTER)) == _POINTER:
                raise UserError(
                    f"{file}: is a Git LFS pointer, not the data; run `git lfs pull` in the repository that it is from"
                )


def form_of(path: str) -> str:
    """jsonl, json, csv, parquet or dataset (a folder). Raises UserError where the file is none of these."""
    if Path(path).is_dir():
        return "dataset"
    with open(path, "rb") as file:
        head = file.read(65536)
    if head[:4] == b"PAR1":
        return "parquet"
    for magic, what in _PACKED.items():
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
