"""Sources as rows of one table: the user's files and the filter room's selections."""

import json
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any

import polars as pl

from holdfast.common.data_files import Record, read_records
from holdfast.common.errors import UserError
from holdfast.common.files import scan_table
from holdfast.common.ids import row_id
from holdfast.common.tables import MIX_REJECTED, MIXABLE, SELECTED
from holdfast.steps.mix.conversations import SHAPES, Fault, conversation, shape_of
from holdfast.steps.mix.params import Source


def key(*texts: str) -> str:
    """A key that is equal for texts that differ in case and white space only."""
    return row_id(*(" ".join(unicodedata.normalize("NFKC", text).casefold().split()) for text in texts))


def _row(source: str, origin: str, messages: list[dict[str, Any]], tools: str | None) -> dict[str, Any]:
    """The columns that every row of MIXABLE has, whatever its source."""
    text = json.dumps(messages, ensure_ascii=False)
    asked = [str(m["content"]) for m in messages[:-1] if m["role"] != "system"]
    questions = [str(m["content"]) for m in messages if m["role"] == "user"]
    return {
        "source": source,
        "row_id": row_id("mix", source, text, tools or ""),
        "origin": origin,
        "conversation": text,
        "tools": tools,
        "content_key": row_id(text, tools or ""),
        "prompt_key": key(*asked),
        "question_keys": [key(question) for question in questions],
    }


def load_file(name: str, source: Source, path: str, max_bad_share: float) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows (MIXABLE) and malformed rows (MIX_REJECTED, reason `malformed`) of a user's file or folder.

    Raises UserError that names every fault, up to 20 in full, when more than `max_bad_share` of the rows are malformed.
    """
    rows: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    shape: str | None = source.shape
    columns: dict[str, str] = {str(ours): theirs for ours, theirs in source.columns.items()}
    read = 0
    for record in _unpacked(read_records(path, source.format, source.split)):
        read += 1
        origin = f"{path} {record.place}"
        fault = record.fault
        if record.value is not None:
            shape = shape or shape_of(record.value, columns) or _unknown(origin, record.value, name)
            try:
                talk = conversation(record.value, shape, columns)
                own = {"slice": talk.slice, "licence": source.licence}
                rows.append(_row(name, origin, talk.messages, talk.tools) | own)
            except Fault as found:
                fault = str(found)
        if fault:
            text = record.text or json.dumps(record.value, ensure_ascii=False, default=str)
            bad.append({"source": name, "origin": origin, "reason": "malformed", "detail": fault, "text": text})
    if not read:
        raise UserError(f"{path}: holds no rows")
    if len(bad) > max_bad_share * read:
        _refuse(path, bad, read, max_bad_share)
    rejected = pl.DataFrame([{"row_id": row_id("bad", b["origin"], b["text"]), **b} for b in bad], schema=MIX_REJECTED)
    return pl.DataFrame(rows, schema=MIXABLE), rejected.with_columns(pl.col("text").str.head(2000))


def _unpacked(records: Iterator[Record]) -> Iterator[Record]:
    return (r if r.value is None else r._replace(value={str(k): v for k, v in r.value.items()}) for r in records)


def _unknown(origin: str, row: dict[str, Any], name: str) -> str:
    known = "; ".join(f"{shape}: {', '.join(columns)}" for shape, columns in SHAPES.items())
    raise UserError(
        f"{origin}: its columns ({', '.join(sorted(row)) or 'none'}) are of no known shape ({known});"
        f" name yours in sources.{name}.columns, for example {{question: {next(iter(sorted(row)), 'q')}, answer: …}}"
    )


def _refuse(path: str, bad: list[dict[str, Any]], read: int, share: float) -> None:
    for fault in bad:
        print(f"{fault['origin']}: {fault['detail']}", file=sys.stderr)
    listed = [f"  {fault['origin']}: {fault['detail']}" for fault in bad[:20]]
    more = [f"  … and {len(bad) - 20} more, all in the log"] if len(bad) > 20 else []
    head = f"{path}: {len(bad)} of {read} rows are malformed, mix.max_bad_share is {share:.3g}; repair or remove them:"
    raise UserError("\n".join([head, *listed, *more]))


def load_selection(name: str, path: str, licences: dict[str, str | None]) -> pl.DataFrame:
    """Rows (MIXABLE) of a selection of the filter room: the conversation up to the instruction and its response, with
    the tools that its slice shows.

    `licences` maps the generating model to its licence.
    """
    rows = []
    for row in scan_table(path, SELECTED).collect().iter_rows(named=True):
        messages = [*row["messages"], {"role": "assistant", "content": row["response"]}]
        own = {k: row[k] for k in ("slice", "instruction_id", "model", "score")} | {
            "licence": licences.get(row["model"])
        }
        shown = json.loads(row["rendering"] or "{}").get("tools")
        tools = None if shown is None else json.dumps(shown, ensure_ascii=False)
        rows.append(
            _row(name, f"{path} {row['candidate_id']}", messages, tools) | own | {"row_id": row["candidate_id"]}
        )
    return pl.DataFrame(rows, schema=MIXABLE)


def evaluation_items(paths: list[str]) -> dict[str, str]:
    """Key of the last question -> name of the item, for every item of the JSONL suites at `paths`."""
    items: dict[str, str] = {}
    for path in sorted(paths):
        for record in read_records(path, "jsonl"):
            row = record.value or {}
            asked = row.get("prompt") or next((m.get("content") for m in reversed(row.get("messages") or [])), None)
            if not isinstance(asked, str):
                raise UserError(f"{path} {record.place}: {record.fault or 'no prompt'}; repair the suite")
            items.setdefault(key(asked), f"{path} {row.get('item_id', record.place)}")
    return items
