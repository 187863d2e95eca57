"""The texts of evaluation suites and benchmarks, read from files as their authors publish them."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from holdfast.common.data_files import read_rows
from holdfast.common.errors import UserError
from holdfast.common.ids import row_id

# Tried in this order. `a + b` joins two fields, as far as they are filled: an Alpaca task is its instruction and its
# input, a SVAMP problem its body and its question.
COMMON_FIELDS = (
    *("prompt", "body + question", "question", "instruction + input", "problem", "query", "input", "inputs"),
    *("turns", "messages", "conversations", "goal", "ctx", "sentence", "premise", "text"),
)

# Where the text is in a nested object: ARC's question.stem, parts of a message, ShareGPT's messages
_INNER_FIELDS = ("stem", "text", "content", "value")

_USERS = ("user", "human")


class Item(NamedTuple):
    """One text that must stay out of the training data."""

    suite: str
    item_id: str
    text: str


def suite_items(suite: str, path: str, fields: Sequence[str] = COMMON_FIELDS) -> list[Item]:
    """The items of a suite or benchmark file in any form that `read_rows` knows.

    The text of a row is that of the first of `fields` that it has, whatever the case of the column's name. A field may
    be nested (`question.stem`) or two fields joined (`instruction + input`). A list of texts is one item for each text,
    a list of messages one for each message of the user, an object the item of its own field.
    Raises UserError naming file and row.
    """
    items = []
    for where, row in read_rows(path, split=None):
        texts = _first(row, fields)
        if not texts:
            raise UserError(
                f"{where}: none of the columns {', '.join(row) or '(none)'} is known to hold the text;"
                " name it in clean.contamination.fields (`a.b`: a nested column, `a + b`: two columns joined)"
            )
        items += [Item(suite, str(row.get("item_id", row_id("item", suite, text))), text) for text in texts]
    return items


def _first(row: dict[str, Any], fields: Iterable[str]) -> list[str]:
    for field in fields:
        first, *others = (_texts(_value(row, name.strip()), fields) for name in field.split("+"))
        if first:
            joined = [text for texts in (first, *others) for text in texts]
            return ["\n".join(joined)] if others else first
    return []


def _value(row: dict[str, Any], name: str) -> Any:
    if name in row:
        return row[name]
    for key, value in row.items():
        if key.strip().casefold() == name.casefold():
            return value
    outer, _, inner = name.partition(".")
    nested = _value(row, outer) if inner else None
    return _value(nested, inner) if isinstance(nested, dict) else None


def _texts(value: Any, fields: Iterable[str]) -> list[str]:
    if isinstance(value, str):
        return [value] if value.strip() else []
    if isinstance(value, dict):
        return _first(value, (*fields, *_INNER_FIELDS))
    if not isinstance(value, list):
        return []
    speakers = [part.get("role", part.get("from")) if isinstance(part, dict) else None for part in value]
    said = zip(value, speakers, strict=True)
    return [text for part, who in said if who is None or who in _USERS for text in _texts(part, fields)]
