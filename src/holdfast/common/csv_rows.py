"""Rows of a CSV file as people export it: comma, semicolon, tab or bar, blank lines and empty last columns."""

import csv
import io
import sys
from collections.abc import Iterator

from holdfast.common.errors import UserError

DELIMITERS = ",;\t|"


def csv_rows(path: str, text: str) -> Iterator[tuple[str, dict[str, str] | None, str | None, str]]:
    """(place, column -> field, fault, faulty text) of each row of the CSV file `path`, whose content is `text`.

    Excel's first line `sep=;` names the delimiter, else the header does. Raises UserError where the header or the
    quoting is wrong.
    """
    if "\0" in text:
        number = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(f"{path} line {number}: holds a NUL character; remove it")
    csv.field_size_limit(sys.maxsize)
    named = text[:6].lower().startswith("sep=") and text[5:6] in ("\n", "\r")
    delimiter = text[4] if named else _delimiter(text)
    lines = io.StringIO(text, newline="")  # lines end as CSV's do: str.splitlines also cuts at U+2028 and others
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    last = 0
    try:
        if named:
            next(reader)
        names = _names(path, reader)
        last = reader.line_num
        for fields in reader:
            place, last = f"line {last + 1}", reader.line_num
            while len(fields) > len(names) and not fields[-1]:
                fields.pop()
            if not any(fields):
                continue
            if len(fields) == len(names):
                yield place, dict(zip(names, fields, strict=True)), None, ""
            else:
                yield place, None, f"{len(fields)} fields, but the header has {len(names)}", delimiter.join(fields)
    except csv.Error as error:
        raise UserError(f"{path} line {last + 1}: not CSV: {error} (a quote that is not closed?)") from error


def _delimiter(text: str) -> str:
    """The delimiter that cuts the header, with its quotes, into the most columns."""
    counts = {}
    for delimiter in DELIMITERS:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        counts[delimiter] = len(next(reader, []))
    return max(DELIMITERS, key=counts.__getitem__)


def _names(path: str, reader: Iterator[list[str]]) -> list[str]:
    """The header's names, without the empty last ones that spreadsheets add."""
    names = [name.strip() for name in next(reader, [])]
    while names and not names[-1]:
        names.pop()
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{path} line 1: column {name!r} occurs twice in the header; rename one")
    if len(names) == 1 and not names[0].replace("_", "").replace("-", "").isalnum():
        raise UserError(
            f"{path} line 1: the header is one column, {names[0][:80]!r}; is the delimiter another one than comma,"
            " semicolon, tab or bar? Export the file with one of these, or as JSONL"
        )
    return names
