"""Every finished answer, kept before anything else happens to it: `.holdfast/journal/<model fingerprint>/`.

Two kinds of file lie there:
  <writer>.tail        the rows of a running (or killed) job, one checksummed JSON line each, written as they finish;
  <number>-<sum>.parquet  sealed chunks, read with plain Polars; <sum> is the hash of the file's bytes.
A killed job's tail is sealed by whoever opens the folder next. A line or chunk whose checksum is wrong is not used: its
rows are asked again. Answers are found by key only (`holdfast.request`), so settings never mix.
"""

import fcntl
import io
import json
import os
import sys
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import IO

import polars as pl
import xxhash

from holdfast.errors import UserError
from holdfast.request import PERMANENT, Answer

ROOT = Path(".holdfast/journal")
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
SEAL_ROWS, SEAL_BYTES = 5_000, 32 << 20  # a chunk: what one process holds in memory at most
COMPACT_CHUNKS = 32  # so many small chunks become one
SMALL_BYTES = 64 << 20
_IN_USE: list[IO[bytes]] = []  # frames that read chunks outlive their Journal; the lock stays until the process ends


class Journal:
    """The answers of one model. Opening it makes the rows of killed jobs readable; it stays usable by others meanwhile.

    With `write=False` nothing is created or repaired; sealed rows and readable tails are seen (for plans).
    """

    def __init__(self, fingerprint: str, about: dict[str, object] | None = None, *, write: bool = True) -> None:
        self.folder = ROOT / fingerprint
        self.keys: set[bytes] = set()
        self.failed: dict[bytes, Answer] = {}  # those of `keys` that have an error
        self.chunks: list[Path] = []
        self.damaged: list[str] = []
        self._tail: IO[bytes] | None = None
        self._buffer: list[tuple[object, ...]] = []
        self._buffered_bytes = 0
        if not write:
            if fingerprint and self.folder.is_dir():
                self._read_only()
            return
        with _readable_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            # held while this process lives: nobody compacts or prunes what it reads
            self._use = (self.folder / "use.lock").open("wb")
            with _locked(self.folder / "seal.lock"):
                if about is not None:
                    (self.folder / "model.json").write_text(
                        json.dumps(about, indent=2, sort_keys=True, default=str) + "\n"
                    )
                self._seal_orphans()
                try:
                    fcntl.flock(self._use, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    compact(self.folder)
                except BlockingIOError:
                    pass
                fcntl.flock(self._use, fcntl.LOCK_SH)
                _IN_USE.append(self._use)
                duplicates = self._index(sorted(self.folder.glob("*.parquet")))
            self.unique = not duplicates
            for text in self.damaged:
                print(f"journal: {text}; its rows are asked again", file=sys.stderr, flush=True)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.seal()

    def add(self, answers: Iterable[Answer], step: str) -> None:
        """Put finished answers on disk (at once) and seal a chunk when enough have come together."""
        lines = []
        for a in answers:
            assert a.error is None or a.error in PERMANENT, "a row that may succeed next time is not kept"
            row = (*a, step)
            line = json.dumps([a.key.hex(), *row[1:]]).encode()
            lines.append(b"%016x %b\n" % (xxhash.xxh3_64_intdigest(line), line))
            self._buffer.append(row)
            self._buffered_bytes += len(line)
        if not lines:
            return
        with _readable_errors(self.folder):
            if self._tail is None:
                self._tail = (self.folder / f"{os.getpid()}-{uuid.uuid4().hex[:8]}.tail").open("wb", buffering=0)
                fcntl.flock(self._tail, fcntl.LOCK_EX)  # says that the writer lives
            _write_all(self._tail, b"".join(lines))
            if len(self._buffer) >= SEAL_ROWS or self._buffered_bytes >= SEAL_BYTES:
                self.seal()

    def adopt(self, rows: pl.DataFrame) -> int:
        """Take over rows (schema ROWS, unique keys) from elsewhere, as a chunk; returns how many were new."""
        new = rows.filter(~pl.col("key").is_in(list(self.keys)))
        if len(new):
            with _readable_errors(self.folder), _locked(self.folder / "seal.lock"):
                self.chunks.append(_seal(self.folder, new))
            self.keys.update(new["key"])
        return len(new)

    def seal(self) -> None:
        """Turn the rows written so far into a chunk."""
        if self._tail is None:
            return
        with _readable_errors(self.folder), _locked(self.folder / "seal.lock"):
            self.chunks.append(_seal(self.folder, _frame(self._buffer)))
            os.unlink(self._tail.name)
            self._tail.close()
        self._tail, self._buffer, self._buffered_bytes = None, [], 0

    def rows(self) -> pl.LazyFrame:
        """All sealed rows without an error, one per key (schema ROWS); of two to one key the first sealed counts."""
        if not self.chunks:
            return pl.LazyFrame(schema=ROWS)
        rows = pl.scan_parquet(self.chunks, glob=False).filter(pl.col("error").is_null())
        return rows if self.unique else rows.unique("key", keep="first", maintain_order=True)

    def _index(self, chunks: Iterable[Path]) -> int:
        """Load the keys of chunks whose checksum holds, set damaged ones aside. Returns the number of doubled keys."""
        doubled = 0
        for path in chunks:
            rows = _read_chunk(path)
            if rows is None:
                aside = path.with_suffix(".damaged")
                path.rename(aside)
                self.damaged.append(f"{aside} fails its checksum")
                continue
            before = len(self.keys)
            self._note(rows)
            doubled += before + len(rows) - len(self.keys)
            self.chunks.append(path)
        return doubled

    def _note(self, rows: pl.DataFrame) -> None:
        self.keys.update(rows["key"])
        for row in rows.filter(pl.col("error").is_not_null()).iter_rows():
            self.failed[row[0]] = Answer(*row[:-1])

    def _seal_orphans(self) -> None:
        for path in sorted(self.folder.glob("*.tail")):
            with path.open("rb") as tail:
                try:
                    fcntl.flock(tail, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue  # its writer lives
                rows, bad = read_tail(tail)
                if rows:
                    _seal(self.folder, _frame(rows))
                if bad:
                    self.damaged.append(f"{bad} damaged lines at the end of {path.name}")
                path.unlink()
        for part in self.folder.glob("*.part"):
            part.unlink()  # under the seal lock nobody is writing one

    def _read_only(self) -> None:
        for path in self.folder.glob("*.parquet"):
            rows = _read_chunk(path)
            if rows is not None:
                self._note(rows)
        for path in self.folder.glob("*.tail"):
            with path.open("rb") as tail:
                self._note(_frame(read_tail(tail)[0]))


def read_tail(tail: IO[bytes]) -> tuple[list[tuple[object, ...]], int]:
    """The rows of a tail file, and how many lines were damaged (a kill may cut the last one)."""
    rows: list[tuple[object, ...]] = []
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
    chunks = sorted(p for p in folder.glob("*.parquet") if _read_chunk(p) is not None)
    for small, run in groupby(chunks, key=lambda path: path.stat().st_size < SMALL_BYTES):
        merged = list(run)
        if small and len(merged) >= COMPACT_CHUNKS:
            rows = pl.scan_parquet(merged, glob=False).unique("key", keep="first", maintain_order=True).collect()
            _seal(folder, rows, _number(merged[0]))
            for path in merged:
                path.unlink()


def _read_chunk(path: Path) -> pl.DataFrame | None:
    """Keys and errors (the other columns null) of a chunk, or None when its checksum does not hold."""
    content = path.read_bytes()
    if path.stem.rpartition("-")[2] != xxhash.xxh3_64_hexdigest(content):
        return None
    read = pl.read_parquet(io.BytesIO(content), columns=["key", "prompt_tokens", "error", "detail"])
    return pl.concat([pl.DataFrame(schema=ROWS), read], how="diagonal")


def _frame(rows: list[tuple[object, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=ROWS, orient="row")


def _number(chunk: Path) -> int:
    return int(chunk.name.partition("-")[0])


def _seal(folder: Path, rows: pl.DataFrame, number: int | None = None) -> Path:
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


def _write_all(file: IO[bytes], data: bytes) -> None:
    while data:
        data = data[file.write(data) :]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _readable_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"journal {folder}: {error.strerror or error}; free space or fix permissions and run again, "
            "finished rows are kept"
        ) from error
