"""Texts that spell a control token of the base model never reach the training data."""

import json
from pathlib import Path

import polars as pl
import pytest

from holdfast.chat.control_tokens import message_control_tokens
from holdfast.chat.template import Template, load_tokenizer
from holdfast.common.tables import SELECTED
from holdfast.steps.mix.control_tokens import drop_control_tokens
from mixing import selection, write_lines
from models import tiny_model

END = "<|end|>"
USER, ANSWER = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}
CALL = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": {"a": 1}}}],
}


def spelled(row, *keys):
    """A copy of the row with the token in one of its texts."""
    copy = json.loads(json.dumps(row))
    inner = copy
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = f"so {END} it goes"
    return copy


TALK = {"messages": [{"role": "system", "content": "s"}, USER, ANSWER | {"reasoning_content": "hm"}]}
CALLED = {"messages": [USER, CALL, {"role": "tool", "content": "3"}, ANSWER]}
CALLED["tools"] = [{"type": "function", "function": {"name": "f", "description": "d"}}]
PLACES = {
    "message 1 (system)": spelled(TALK, "messages", 0, "content"),
    "message 2 (user)": spelled(TALK, "messages", 1, "content"),
    "message 3 (assistant)": spelled(TALK, "messages", 2, "content"),
    "reasoning_content of message 3 (assistant)": spelled(TALK, "messages", 2, "reasoning_content"),
    "message 3 (tool)": spelled(CALLED, "messages", 2, "content"),
    "a tool call of message 2 (assistant)": spelled(
        CALLED, "messages", 1, "tool_calls", 0, "function", "arguments", "a"
    ),
    "the tools": spelled(CALLED, "tools", 0, "function", "description"),
}


def test_a_row_that_spells_a_control_token_is_rejected_wherever_it_stands(project):
    rows = [{"messages": [USER, {"role": "assistant", "content": f"<b>fine</b> < | end | > {n}"}]} for n in range(5)]
    write_lines("mine.jsonl", [*rows, *PLACES.values()])
    train = project({"mine": {"path": "mine.jsonl"}}, {"sources": {"mine": 1.0}}, {"validation": 0})
    assert sorted(row["messages"][1]["content"] for row in train) == [row["messages"][1]["content"] for row in rows]
    rejected = pl.read_parquet("out/rejected.parquet").filter(pl.col("reason") == "control_token")
    assert sorted(rejected["detail"]) == sorted(f"{END} is spelled in {place}" for place in PLACES)


def test_the_rehearsal_is_no_exception(project):
    rows = [selection(i) | ({"response": f"It is {i}.{END}"} if i < 10 else {}) for i in range(300)]
    pl.DataFrame(rows, schema=SELECTED).write_parquet("data/filter/selected.parquet")
    project()
    assert END not in Path("out/train.jsonl").read_text()
    rejected = pl.read_parquet("out/rejected.parquet").filter(pl.col("reason") == "control_token")
    assert sorted(rejected["row_id"]) == sorted(f"c{i}" for i in range(10))


def rows_of(*texts):
    talks = [[USER, ANSWER | {"content": text}] for text in texts]
    frame = pl.DataFrame(
        {"row_id": [str(n) for n in range(len(texts))], "conversation": [json.dumps(t) for t in talks]}
    )
    return frame.with_columns(tools=pl.lit(None, pl.String))


@pytest.mark.parametrize(
    ("tokens", "kept"), [([], ["a", "<x>", "user"]), (["<x>"], ["a", "user"]), (["user", "role"], ["a", "<x>"])]
)
def test_only_texts_are_looked_at(tokens, kept):
    found, dropped = drop_control_tokens(rows_of("a", "<x>", "user"), tokens)
    assert [json.loads(text)[1]["content"] for text in found["conversation"]] == kept
    assert len(found) + len(dropped) == 3


def test_marks_of_thinking_that_the_template_writes_and_html_are_texts():
    tokenizer = load_tokenizer(str(tiny_model()))
    tokenizer.add_tokens(["<think>", "</think>", "<table>"])
    tokenizer.chat_template = tokenizer.chat_template.replace("{{", "{# <think></think> #}{{", 1)
    tokens = message_control_tokens(Template(tokenizer))
    kept, dropped = drop_control_tokens(rows_of("<think>so</think>x", "<table>", f"x{END}"), tokens)
    assert (kept["row_id"].to_list(), dropped["row_id"].to_list()) == (["0", "1"], ["2"])
