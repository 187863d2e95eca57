"""The length of conversations in tokens of the base model's chat template; too long ones are rejected or truncated."""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import polars as pl
from transformers import PreTrainedTokenizerFast

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
    found: list[tuple[str | None, int, str | None, str | None]] = []
    for some, refused, counts in _counted(rows.select("conversation", "tools"), template):
        for number, (count, (text, tools)) in enumerate(zip(counts, some.iter_rows(), strict=True)):
            cut = None
            if count > limit and too_long == "truncate":
                cut, count = _truncated(template, json.loads(text), tools, limit)
            if number in refused:
                found.append((cut, count, "template_refused", refused[number]))
            elif count > limit:
                found.append((cut, count, "too_long", f"{count} tokens, train.sequence_len is {limit}"))
            else:
                found.append((cut, count, None, None))
    schema = {"_cut": pl.String, "tokens": pl.Int64, "reason": pl.String, "detail": pl.String}
    measured = rows.with_columns(pl.DataFrame(found, schema=schema, orient="row").get_columns()).with_columns(
        conversation=pl.coalesce("_cut", "conversation"), truncated=pl.col("_cut").is_not_null()
    )
    return split_by_reason(measured.drop("_cut"))


def _counted(rows: pl.DataFrame, template: Template) -> Iterator[tuple[pl.DataFrame, dict[int, str], list[int]]]:
    """Parts of rows (conversation, tools); why the template refuses some of them, by their number; tokens of each.

    A part is tokenised, without Python's lock, while the next one is rendered.
    """
    with ThreadPoolExecutor(1) as pool:
        before: tuple[pl.DataFrame, dict[int, str], Future[list[int]]] | None = None
        for some in rows.iter_slices(_AT_ONCE):
            rendered, refused = [], {}
            for number, (text, tools) in enumerate(some.iter_rows()):
                try:
                    rendered.append(_rendered(template, json.loads(text), tools))
                except Refused as error:
                    rendered.append("")
                    refused[number] = str(error)
            this = some, refused, pool.submit(token_counts, template.tokenizer, rendered)
            if before is not None:
                yield *before[:2], before[2].result()
            before = this
        if before is not None:
            yield *before[:2], before[2].result()


def _rendered(template: Template, messages: list[Message], tools: str | None) -> str:
    """The conversation as trained on; the template gets the arguments of tool calls as objects, as trainers pass
    them."""
    for message in messages:
        for call in message.get("tool_calls", []):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    if tools is not None:
        template = replace(template, options=template.options | {"tools": json.loads(tools)})
    return template.text(messages, opening=False)


def token_counts(tokenizer: Any, texts: list[str]) -> list[int]:
    """The number of tokens of each text, special tokens recognised and none added; on all cores of the job.

    A tokenizer of the `tokenizers` library is asked without offsets and lists of ids, which is a quarter faster.
    """
    used = ("__call__", "_encode_plus")
    if all(getattr(type(tokenizer), name, None) is getattr(PreTrainedTokenizerFast, name) for name in used):
        tokenizer("", add_special_tokens=False)  # as for every other text: no truncation, no padding
        return [len(one) for one in tokenizer.backend_tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
    return [len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]]


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
