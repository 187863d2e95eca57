"""Sources as rows of one table (MIXABLE): data files and selections."""

import json
import sys
import unicodedata
from typing import Any

import polars as pl

from holdfast.common.data_files import read_records
from holdfast.common.errors import UserError
from holdfast.common.files import scan_table
from holdfast.common.ids import row_id
from holdfast.common.tables import MIX_REJECTED, MIXABLE, SELECTED
from holdfast.common.wording import counted
from holdfast.steps.mix.conversations import conversation
from holdfast.steps.mix.faults import summary
from holdfast.steps.mix.messages import Fault, UnsupportedRow
from holdfast.steps.mix.params import Source
from holdfast.steps.mix.shapes import SHAPES, shape_of
from holdfast.steps.mix.suggestions import suggestion

_AT_ONCE = 10_000


def text_key(*texts: str) -> str:
    """A key that is equal for texts that only differ in case and white space."""
    return row_id(*(" ".join(unicodedata.normalize("NFKC", text).casefold().split()) for text in texts))


def _row(source: str, origin: str, messages: list[dict[str, Any]], tools: str | None) -> dict[str, Any]:
    """The columns of MIXABLE that every source fills."""
    text = json.dumps(messages, ensure_ascii=False)
    asked = [str(m["content"]) for m in messages[:-1] if m["role"] != "system"]
    return {
        "source": source,
        "row_id": row_id("mix", source, text, tools or ""),
        "origin": origin,
        "conversation": text,
        "tools": tools,
        "content_key": row_id(text, tools or ""),
        "prompt_key": text_key(*asked),
        "questions": [str(m["content"]) for m in messages if m["role"] == "user"],
    }


def load_file(name: str, source: Source, path: str, max_bad_share: float) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows (MIXABLE) and malformed rows (MIX_REJECTED, reason `malformed`) of a user's file or folder.

    Raises UserError with all faults and their places when more than `max_bad_share` of the rows are malformed, or when
    a column or field that is not trained on changes the meaning of a row. Prints which columns are not used.
    """
    rows = _Rows()
    bad: list[dict[str, Any]] = []
    unsupported: list[tuple[str, str]] = []
    unused: set[str] = set()
    nulls: set[str] = set()
    shape: str | None = source.shape
    columns: dict[str, str] = {str(ours): theirs for ours, theirs in source.columns.items()}
    read = 0
    for record in read_records(path, source.format, source.split):
        read += 1
        origin = f"{path} {record.place}"
        fault = record.fault
        if record.value is not None:
            row = {str(column): value for column, value in record.value.items()}
            shape = shape or shape_of(row, columns) or _unknown_shape(origin, row, columns, name)
            try:
                talk = conversation(row, shape, columns, name)
                own = {"slice": talk.slice, "licence": source.licence}
                rows.append(_row(name, origin, talk.messages, talk.tools) | own)
                unused |= talk.unused
                nulls.update(path for path in record.nulls if _of_tools(path, columns))
            except UnsupportedRow as found:
                unsupported.append((record.place, str(found)))
            except Fault as found:
                fault = str(found)
        if fault:
            text = record.text or json.dumps(record.value, ensure_ascii=False, default=str)
            bad.append({"source": name, "origin": origin, "reason": "malformed", "detail": fault, "text": text})
    if not read:
        raise UserError(f"{path}: holds no rows")
    if unsupported:
        head = f"{path}: {len(unsupported):,} of {counted(read, 'row')} mean something else than their texts say:"
        raise UserError("\n".join([head, *summary(path, unsupported)]))
    if len(bad) > max_bad_share * read:
        faults = [(fault["origin"].removeprefix(f"{path} "), fault["detail"]) for fault in bad]
        head = (
            f"{path}: {len(bad):,} of {counted(read, 'row')} are malformed, mix.max_bad_share is {max_bad_share:.3g};"
        )
        raise UserError("\n".join([f"{head} repair or remove them:", *summary(path, faults)]))
    _note_ignored(name, path, unused, nulls)
    rejected = pl.DataFrame([{"row_id": row_id("bad", b["origin"], b["text"]), **b} for b in bad], schema=MIX_REJECTED)
    return rows.table(), rejected.with_columns(pl.col("text").str.head(2000))


def _of_tools(path: str, columns: dict[str, str]) -> bool:
    """Whether the dotted path of a nested key lies in tools or in the arguments of a call."""
    return path.startswith(f"{columns.get('tools', 'tools')}.") or ".arguments." in path


def _note_ignored(name: str, path: str, unused: set[str], nulls: set[str]) -> None:
    """Print to the log what is not used of a source, and which nulls are taken as absent."""
    if unused:
        print(f"source {name}: not used of {path}: {', '.join(sorted(unused))}", file=sys.stderr)
    if nulls:
        shown = ", ".join(sorted(nulls)[:5]) + (f" and {len(nulls) - 5} more" if len(nulls) > 5 else "")
        print(
            f"source {name}: null keys of {path} are taken as absent, because Arrow fills absent keys with nulls:"
            f" {shown}; if a null is meant, write tool calls and tools as JSON text",
            file=sys.stderr,
        )


def _unknown_shape(origin: str, row: dict[str, Any], columns: dict[str, str], name: str) -> str:
    if missing := sorted(set(columns.values()) - set(row)):
        raise UserError(
            f"{origin}: has no column {', '.join(missing)}, which sources.{name}.columns names; its columns are"
            f" {', '.join(sorted(row)) or 'none'}"
        )
    known = "; ".join(f"{name}: {', '.join(shape.columns)}" for name, shape in SHAPES.items())
    raise UserError(
        f"{origin}: its columns ({', '.join(sorted(row)) or 'none'}) match no known shape ({known});"
        f" {suggestion(row, name)}"
    )


def load_selection(name: str, path: str, licences: dict[str, str | None]) -> pl.DataFrame:
    """Rows (MIXABLE) of a selection: the conversation up to the instruction and its response, with
    the tools that its slice shows.

    `licences` maps the generating model to its licence.
    """
    rows = _Rows()
    selected = scan_table(path, SELECTED).select(
        *("messages", "response", "rendering", "candidate_id", "slice", "instruction_id", "model", "score")
    )
    for row in (row for some in selected.collect_batches(chunk_size=_AT_ONCE) for row in some.iter_rows(named=True)):
        messages = [*row["messages"], {"role": "assistant", "content": row["response"]}]
        own = {k: row[k] for k in ("slice", "instruction_id", "model", "score")} | {
            "licence": licences.get(row["model"])
        }
        shown = json.loads(row["rendering"] or "{}").get("tools")
        tools = None if shown is None else json.dumps(shown, ensure_ascii=False)
        rows.append(
            _row(name, f"{path} {row['candidate_id']}", messages, tools) | own | {"row_id": row["candidate_id"]}
        )
    return rows.table()


class _Rows:
    """Rows that become a table (MIXABLE) part by part, so that few of them are Python objects at a time."""

    def __init__(self) -> None:
        self._tables = [pl.DataFrame(schema=MIXABLE)]
        self._waiting: list[dict[str, Any]] = []

    def append(self, row: dict[str, Any]) -> None:
        self._waiting.append(row)
        if len(self._waiting) == _AT_ONCE:
            self._flush()

    def table(self) -> pl.DataFrame:
        self._flush()
        return pl.concat(self._tables)

    def _flush(self) -> None:
        self._tables.append(pl.DataFrame({name: [row.get(name) for row in self._waiting] for name in MIXABLE}, MIXABLE))
        self._waiting = []
