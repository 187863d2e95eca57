"""The two kinds of file in a journal's folder: tails of checksummed lines, and sealed Parquet chunks."""

import io
import json
import os
from itertools import groupby
from pathlib import Path
from typing import IO

import polars as pl
import xxhash

ROWS: dict[str, pl.DataType | type[pl.DataType]] = {
    "key": pl.Binary,
    "text": pl.String,
    "finish_reason": pl.String,
    "prompt_tokens": pl.Int64,
    "output_tokens": pl.Int64,
    "seed": pl.Int64,
    "time_s": pl.Float64,
    "logprobs": pl.List(pl.Float64),
    "error": pl.String,  # null, or a fault that is the request's own and would come again
    "detail": pl.String,
    "step": pl.String,
}


COMPACT_CHUNKS = 32  # so many small chunks in a row become one


SMALL_BYTES = 64 << 20


Row = tuple[object, ...]  # the values of ROWS


def tail_line(row: Row) -> bytes:
    """One row as a line of a tail: 16 hex digits of checksum, a space, a JSON list."""
    key = row[0]
    assert isinstance(key, bytes)
    line = json.dumps([key.hex(), *row[1:]]).encode()
    return b"%016x %b\n" % (xxhash.xxh3_64_intdigest(line), line)


def read_tail(tail: IO[bytes]) -> tuple[list[Row], int]:
    """The rows of a tail file, and how many lines were damaged (a kill may cut the last one)."""
    rows: list[Row] = []
    bad = 0
    for entry in tail:
        checksum, line = entry[:16], entry[17:-1]
        if entry.endswith(b"\n") and checksum == b"%016x" % xxhash.xxh3_64_intdigest(line):
            values = json.loads(line)
            rows.append((bytes.fromhex(values[0]), *values[1:]))
        else:
            bad += 1
    return rows, bad


def compact(folder: Path) -> None:
    """Merge neighbouring small chunks; needs the folder to itself. Killed half-way it leaves doubled rows, all equal.

    A merged chunk takes the place of its first one, so that of two answers to one key the same stays first.
    """
    chunks = sorted(p for p in folder.glob("*.parquet") if read_chunk(p) is not None)
    for small, run in groupby(chunks, key=lambda path: path.stat().st_size < SMALL_BYTES):
        merged = list(run)
        if small and len(merged) >= COMPACT_CHUNKS:
            rows = pl.scan_parquet(merged, glob=False).unique("key", keep="first", maintain_order=True).collect()
            whole = seal(folder, rows, _number(merged[0]))
            for path in merged:
                if path != whole:  # all were copies of the first one
                    path.unlink()


def read_chunk(path: Path) -> pl.DataFrame | None:
    """Keys and errors (the other columns null) of a chunk, or None when its checksum does not hold."""
    content = path.read_bytes()
    if path.stem.rpartition("-")[2] != xxhash.xxh3_64_hexdigest(content):
        return None
    read = pl.read_parquet(io.BytesIO(content), columns=["key", "prompt_tokens", "error", "detail"])
    return pl.concat([pl.DataFrame(schema=ROWS), read], how="diagonal")


def frame(rows: list[Row]) -> pl.DataFrame:
    """Rows as a table of schema ROWS."""
    return pl.DataFrame(rows, schema=ROWS, orient="row")


def _number(chunk: Path) -> int:
    return int(chunk.name.partition("-")[0])


def seal(folder: Path, rows: pl.DataFrame, number: int | None = None) -> Path:
    """Write a chunk aside, make it durable, and give it its name. The caller holds the seal lock."""
    if number is None:
        number = max(map(_number, folder.glob("*-*.parquet")), default=0) + 1
    content = io.BytesIO()
    rows.write_parquet(content, compression="zstd")
    data = content.getvalue()
    path = folder / f"{number:08d}-{xxhash.xxh3_64_hexdigest(data)}.parquet"
    aside = path.with_suffix(".part")
    with aside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return path


def write_all(file: IO[bytes], data: bytes) -> None:
    """Write to an unbuffered file, which may take less than all at once."""
    while data:
        data = data[file.write(data) :]
