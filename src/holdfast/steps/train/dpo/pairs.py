"""Preference pairs as tokens: rendered by the model's chat template and split where the answers begin.

The tokens are those that the model is asked with and fine-tuned on. Axolotl and TRL would cut the answer out of another
rendering, by the first place where its text stands there, and put a BOS before the template's own.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import takewhile
from typing import Any, NamedTuple

import polars as pl

from holdfast.chat.answer_text import answer_frame
from holdfast.chat.control_tokens import message_control_tokens
from holdfast.chat.template import Refused, Template

SIDES = ("chosen", "rejected")
REJECTED = {
    "instruction_id": pl.String,
    "reason": pl.String,  # control_token, template_refused, too_long
    "detail": pl.String,
}


class Pairs(NamedTuple):
    """`rows`: `prompt_ids`, `chosen_ids` and `rejected_ids`, the answers with the token that ends them."""

    rows: list[dict[str, list[int]]]
    tokens: int  # of both conversations of every pair
    rejected: pl.DataFrame  # REJECTED


class Unusable(Exception):
    """A pair that cannot be trained on: reason and detail."""


def tokenised(lines: Iterable[str], template: Template, limit: int) -> Pairs:
    """The pairs in `lines` of JSON (`prompt`, `chosen`, `rejected`, `tools`, `instruction_id`), in their order.

    `limit`: the most tokens of a prompt with an answer. Raises Refused where the template renders no user's text.
    """
    template, end = template.fitted(), answer_frame(template).end
    control = re.compile("|".join(re.escape(token) for token in message_control_tokens(template)) or "(?!)")
    rows, tokens, lost = [], 0, []
    for row in map(json.loads, lines):
        try:
            for place, text in _texts(row):
                if match := control.search(text):
                    raise Unusable("control_token", f"{match[0]} is spelled in {place}")
            asked, *talks = (template.ids(text) for text in _rendered(row, template, end))
            if (longest := max(map(len, talks))) > limit:
                raise Unusable("too_long", f"{longest} tokens, train.sequence_len is {limit}")
        except Unusable as error:
            lost.append((row["instruction_id"], *error.args))
            continue
        # what the answers have in common at their beginning cancels out in DPO's loss, so that it may be on either side
        shared = len([*takewhile(lambda ids: len(set(ids)) == 1, zip(asked, *talks, strict=False))])
        rows.append(
            {"prompt_ids": asked[:shared]}
            | {f"{side}_ids": ids[shared:] for side, ids in zip(SIDES, talks, strict=True)}
        )
        tokens += sum(map(len, talks))
    return Pairs(rows, tokens, pl.DataFrame(lost, schema=REJECTED, orient="row"))


def _texts(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for part in ("prompt", *SIDES):
        yield from ((part, message["content"]) for message in row[part])
    if row.get("tools"):
        yield "the tools", row["tools"]


def _rendered(row: dict[str, Any], template: Template, end: str | None) -> list[str]:
    """The prompt with the assistant's turn opened, and the conversations with either answer up to its end."""
    if row.get("tools"):
        template = replace(template, options=template.options | {"tools": json.loads(row["tools"])})
    try:
        opened = template.text(row["prompt"], opening=True)
        talks = [template.text([*row["prompt"], *row[side]], opening=False) for side in SIDES]
    except Refused as error:
        raise Unusable("template_refused", str(error)) from error
    same = sum(1 for _ in takewhile(lambda letters: len(set(letters)) == 1, zip(opened, *talks, strict=False)))
    return [opened, *(talk[:same] + _to_its_end(talk[same:], end) for talk in talks)]


def _to_its_end(text: str, end: str | None) -> str:
    """An answer without what a template writes after the token that ends its turn; the answer itself spells no such
    token."""
    head, found, _ = text.partition(end) if end else ("", "", "")
    return head + found if found else text.rstrip()
