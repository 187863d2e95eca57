"""Every finished answer, kept before anything else happens to it: `.holdfast/journal/<model fingerprint>/`.

Answers to the evaluation harness are rows of the same folder.

Files of a folder:
  <writer>.tail           rows of a running or killed job: one JSON line with a checksum each, written as they finish
  <number>-<sum>.parquet  sealed chunks, readable with Polars; <sum> is the hash of the file's bytes
  model.json              which model it is, for people
  *.lock                  `use.lock` is shared by the jobs that read, `seal.lock` is held while chunks are written
A killed job's tail is sealed by the next job that opens the folder. A line or chunk whose checksum is wrong is not
used: its rows are asked again. Answers are found by key only (`holdfast.inference.request`), so settings never mix.
"""

import json
import os
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import polars as pl

from holdfast.common.errors import UserError
from holdfast.common.locks import LOCKS_STAY, lock, locked, open_lock, try_lock
from holdfast.common.wording import counted
from holdfast.inference.journal_files import (
    ROWS,
    Row,
    compact,
    frame,
    read_chunk,
    read_tail,
    seal,
    tail_line,
    write_all,
)
from holdfast.inference.request import PERMANENT, Answer

ROOT = Path(".holdfast/journal")


SPEED_ROWS = 50


FOREIGN_TAIL_S = 24 * 3600.0  # without a row for so long, a writer on a host whose locks are not seen is gone


SEAL_ROWS, SEAL_BYTES = 5_000, 32 << 20  # a chunk: what one process holds in memory at most


# Frames that read chunks outlive their Journal: the lock on the folder is held until the process ends.
_IN_USE: list[IO[bytes]] = []


class Journal:
    """The answers of one model. Opening it seals the tails of killed jobs; other jobs may use it at the same time.

    With `write=False` nothing is created or repaired; sealed rows and readable tails are seen (for `holdfast plan`).
    """

    def __init__(self, fingerprint: str, about: dict[str, object] | None = None, *, write: bool = True) -> None:
        self.folder = ROOT / fingerprint
        self.unique = False
        self.keys: set[bytes] = set()
        self.failed: dict[bytes, Answer] = {}  # those of `keys` that have an error
        self.chunks: list[Path] = []
        self.damaged: list[str] = []
        self._tail: IO[bytes] | None = None
        self._tail_path = self.folder / f"{uuid.uuid4().hex[:8]}-{os.getpid()}-{os.uname().nodename}.tail"
        self._buffer: list[Row] = []
        self._buffered_bytes = 0
        if not write:
            if fingerprint and self.folder.is_dir():
                self._read_only()
            return
        with _readable_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._use = open_lock(self.folder / "use.lock")
            with locked(self.folder / "seal.lock"):
                if about is not None:
                    (self.folder / "model.json").write_text(
                        json.dumps(about, indent=2, sort_keys=True, default=str) + "\n"
                    )
                self._seal_orphans()
                if not LOCKS_STAY.exists() and try_lock(self._use):
                    compact(self.folder)
                lock(self._use, shared=True)
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
        """Write finished answers to disk at once, and seal a chunk when there are enough of them."""
        lines = []
        for a in answers:
            assert a.error is None or a.error in PERMANENT, "a row that may succeed next time is not kept"
            row = (*a, step)
            lines.append(tail_line(row))
            self._buffer.append(row)
            self._buffered_bytes += len(lines[-1])
        if not lines:
            return
        with _readable_errors(self.folder):
            if self._tail is None:
                with locked(self.folder / "seal.lock"):  # else a job could take it for a killed job's
                    self._tail = open_lock(self._tail_path)
                    lock(self._tail)
            write_all(self._tail, b"".join(lines))
            if len(self._buffer) >= SEAL_ROWS or self._buffered_bytes >= SEAL_BYTES:
                self.seal()

    def adopt(self, rows: pl.DataFrame) -> int:
        """Take over rows (schema ROWS, unique keys) from elsewhere, as a chunk; returns how many were new."""
        new = rows.filter(~pl.col("key").is_in(list(self.keys)))
        if len(new):
            with _readable_errors(self.folder), locked(self.folder / "seal.lock"):
                self.chunks.append(seal(self.folder, new))
            self.keys.update(new["key"])
        return len(new)

    def seal(self) -> None:
        """Turn the rows written so far into a chunk."""
        if self._tail is None:
            return
        with _readable_errors(self.folder), locked(self.folder / "seal.lock"):
            self.chunks.append(seal(self.folder, frame(self._buffer)))
            self._tail_path.unlink(missing_ok=True)
            self._tail.close()
        self._tail, self._buffer, self._buffered_bytes = None, [], 0

    def note_speed(self, step: str, rows: int, seconds: float) -> None:
        """Remember how fast a step's rows came, if there were enough of them to tell."""
        if rows >= SPEED_ROWS:
            with _readable_errors(self.folder):
                (self.folder / f"{step}.speed").write_text(f"{rows / max(seconds, 1e-3):.4g}\n")

    def note_start(self, seconds: float) -> None:
        """Remember how long the engine took to start."""
        with _readable_errors(self.folder):
            (self.folder / "start.seconds").write_text(f"{seconds:.1f}\n")

    def start_s(self) -> float:
        """How long the engine took to start when it last did; 0 where that is not known."""
        try:
            return float((self.folder / "start.seconds").read_text())
        except (OSError, ValueError):
            return 0.0

    def speed(self, step: str) -> float | None:
        """Rows per second of the step's last job that asked enough rows to tell."""
        try:
            return float((self.folder / f"{step}.speed").read_text())
        except (OSError, ValueError):
            return None

    def mean_tokens(self, step: str) -> tuple[float | None, float | None]:
        """Means of the prompt and output tokens of the step's sealed answers; None if there are none."""
        answers = self.rows().filter(pl.col("step") == step)
        prompt, output = answers.select(pl.mean("prompt_tokens", "output_tokens")).collect().row(0)
        return prompt, output

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
            rows = read_chunk(path)
            if rows is None:
                aside = path.with_suffix(".damaged")
                path.rename(aside)
                self.damaged.append(f"{aside} has a wrong checksum")
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
            with open_lock(path) as writer_lock, path.open("rb") as tail:
                if not try_lock(writer_lock):
                    continue  # its writer lives
                rows, bad = read_tail(tail)
                if rows:
                    seal(self.folder, frame(rows))
                if LOCKS_STAY.exists() and not _left(path):
                    continue  # its writer, on another host, may live
                if bad:
                    self.damaged.append(f"{counted(bad, 'damaged line')} at the end of {path.name}")
                path.unlink()
        if not LOCKS_STAY.exists():
            for part in self.folder.glob("*.part"):
                part.unlink()  # under the seal lock nobody is writing one

    def _read_only(self) -> None:
        for path in self.folder.glob("*.parquet"):
            rows = read_chunk(path)
            if rows is not None:
                self._note(rows)
                self.chunks.append(path)
        for path in self.folder.glob("*.tail"):
            with path.open("rb") as tail:
                self._note(frame(read_tail(tail)[0]))


def _left(tail: Path) -> bool:
    """Whether the writer of a tail that seems unlocked is gone for certain, where locks do not reach other hosts."""
    here = tail.stem.split("-", 2)[-1] == os.uname().nodename
    return here or time.time() - tail.stat().st_mtime > FOREIGN_TAIL_S


@contextmanager
def _readable_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"journal {folder}: {error.strerror or error}; free space or fix permissions and run again, "
            "finished rows are kept"
        ) from error
