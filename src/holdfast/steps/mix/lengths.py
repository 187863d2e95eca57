"""The length of conversations in tokens of the base model's chat template; too long ones are rejected or truncated."""

import json
from dataclasses import replace
from typing import Any

import polars as pl

from holdfast.chat.template import Refused, Template
from holdfast.common.rejected import split_by_reason

_AT_ONCE = 1000
Message = dict[str, Any]


def measure(rows: pl.DataFrame, template: Template, limit: int, too_long: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Fill `tokens` and `truncated` of rows (MIXABLE); `limit` is in tokens, `too_long` is reject or truncate.

    Returns the rows that fit, and the others with reason (`template_refused`, `too_long`) and detail. Raises Refused
    where the template renders no user's text.
    """
    template = template.fitted()
    rendered: list[str] = []
    refused: dict[int, str] = {}
    for number, (text, tools) in enumerate(rows.select("conversation", "tools").iter_rows()):
        try:
            rendered.append(_rendered(template, json.loads(text), tools))
        except Refused as error:
            rendered.append("")
            refused[number] = str(error)
    out: list[tuple[str, int, bool, str | None, str | None]] = []
    counts = _counts(template, rendered)
    for number, (text, tools) in enumerate(rows.select("conversation", "tools").iter_rows()):
        count, cut = counts[number], False
        if count > limit and too_long == "truncate":
            (text, count), cut = _truncated(template, json.loads(text), tools, limit), True
        if number in refused:
            out.append((text, count, cut, "template_refused", refused[number]))
        elif count > limit:
            out.append((text, count, cut, "too_long", f"{count} tokens, train.sequence_len is {limit}"))
        else:
            out.append((text, count, cut, None, None))
    schema = {
        "conversation": pl.String,
        "tokens": pl.Int64,
        "truncated": pl.Boolean,
        "reason": pl.String,
        "detail": pl.String,
    }
    return split_by_reason(rows.with_columns(pl.DataFrame(out, schema=schema, orient="row").get_columns()))


def _rendered(template: Template, messages: list[Message], tools: str | None) -> str:
    """The conversation as trained on; the template gets the arguments of tool calls as objects, as trainers pass
    them."""
    for message in messages:
        for call in message.get("tool_calls", []):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    if tools is not None:
        template = replace(template, options=template.options | {"tools": json.loads(tools)})
    return template.text(messages, opening=False)


def _counts(template: Template, texts: list[str]) -> list[int]:
    counts: list[int] = []
    for start in range(0, len(texts), _AT_ONCE):
        encoded = template.tokenizer(texts[start : start + _AT_ONCE], add_special_tokens=False)
        counts += [len(ids) for ids in encoded["input_ids"]]
    return counts


def _truncated(template: Template, messages: list[Message], tools: str | None, limit: int) -> tuple[str, int]:
    """Remove exchanges from the end, then cut the end of the last answer; the result may still be too long."""

    def count(turns: list[Message]) -> int:
        copy = json.loads(json.dumps(turns))
        return len(template.ids(_rendered(template, copy, tools)))

    while (size := count(messages)) > limit:
        earlier = [
            i for i, m in enumerate(messages[:-1]) if m["role"] == "assistant" and messages[i + 1]["role"] == "user"
        ]
        if not earlier:
            break
        messages = messages[: earlier[-1] + 1]
    answer = messages[-1]
    while size > limit and set(answer) == {"role", "content"} and answer["content"]:
        ids = template.tokenizer(answer["content"], add_special_tokens=False)["input_ids"]
        keep = max(0, len(ids) - (size - limit))
        # a token may end inside a character: drop what does not decode
        cut = template.tokenizer.decode(ids[:keep], skip_special_tokens=False).rstrip("\ufffd").rstrip()
        cut = cut if len(cut) < len(answer["content"]) else answer["content"][: len(cut) - 1]
        if not cut:
            break
        answer = {**answer, "content": cut}
        messages = [*messages[:-1], answer]
        size = count(messages)
    return json.dumps(messages, ensure_ascii=False), size
