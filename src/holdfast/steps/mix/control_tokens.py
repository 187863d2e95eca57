"""Rows whose texts contain control tokens of the base model, which training would not read as text."""

import json
import re
from collections.abc import Iterator

import polars as pl

from holdfast.common.rejected import drop_with_reasons


def drop_control_tokens(rows: pl.DataFrame, tokens: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows (MIXABLE) without any of the control tokens, and the others with reason (`control_token`) and detail."""
    pattern = re.compile("|".join(re.escape(token) for token in sorted(tokens, key=len, reverse=True)) or "(?!)")
    # a fast search in the JSON text; what it finds outside of the messages' texts (a token "role") is excluded below
    written = [form for token in tokens for form in {token, json.dumps(token, ensure_ascii=False)[1:-1]}]
    columns = (pl.col("conversation"), pl.col("tools").fill_null(""))
    suspects = rows.filter(
        pl.any_horizontal(column.str.contains_any(pl.lit(written, pl.List(pl.String))) for column in columns)
    )
    found = []
    for row_id, conversation, tools in suspects.select("row_id", "conversation", "tools").iter_rows():
        for place, text in _texts(conversation, tools):
            if match := pattern.search(text):
                found.append((row_id, "control_token", f"{match[0]} is spelled in {place}"))
                break
    schema = {"row_id": pl.String, "reason": pl.String, "detail": pl.String}
    return drop_with_reasons(rows, pl.DataFrame(found, schema=schema, orient="row"), "row_id")


def _texts(conversation: str, tools: str | None) -> Iterator[tuple[str, str]]:
    """Every text that a chat template may write, with its place."""
    for number, message in enumerate(json.loads(conversation), 1):
        where = f"message {number} ({message['role']})"
        for field, value in message.items():
            if field == "tool_calls":
                for call in value:
                    arguments = json.loads(call["function"]["arguments"])
                    texts = (call["function"]["name"], call.get("id", ""), *_strings(arguments))
                    yield from ((f"a tool call of {where}", text) for text in texts)
            elif field != "role":
                yield (where if field == "content" else f"{field} of {where}"), value
    if tools is not None:
        yield from (("the tools", text) for text in _strings(json.loads(tools)))


def _strings(value: object) -> Iterator[str]:
    """All texts in a value of JSON, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
