"""Which texts no message of a conversation may spell."""

from typing import Any

import polars as pl
import pytest
from tokenizers import AddedToken

from holdfast.chat.control_tokens import first_control_token, message_control_tokens
from holdfast.chat.template import Template
from small_tokenizers import tokenizer
from templates import SHAPES, Shape
from templates.blocks import CHATML, END, FI, LOOP, OPEN

GOOD = sorted(name for name, shape in SHAPES.items() if shape.prefix)


def tokens_of(shape: Shape, plain: tuple[str, ...] = ()) -> list[str]:
    """Of a tokenizer to which `plain` are added as tokens that are not flagged special."""
    fast: Any = tokenizer(shape)
    fast.add_tokens([AddedToken(token, special=False, normalized=False) for token in plain])
    return message_control_tokens(Template(fast))


@pytest.mark.parametrize("name", GOOD)
def test_every_turn_of_a_template_is_told_by_them(name: str) -> None:
    shape = SHAPES[name]
    found = tokens_of(shape)
    assert {"<s>", "</s>"} <= set(found)
    if shape.stop:
        assert shape.stop in found
    assert not {"<think>", "</think>"} & set(found)


def test_tokens_for_what_people_and_models_write_are_none() -> None:
    found = tokens_of(SHAPES["chatml_no_think"], ("<h1>", "<tool_call>", "</tool_call>"))
    assert found == ["</s>", "<s>", "<|im_end|>", "<|im_start|>"]


def test_tokens_that_open_a_turn_count_even_if_they_are_not_flagged_as_special() -> None:
    shape = Shape(LOOP + "<U>{{ m.content }}<A>" + END)
    assert set(tokens_of(shape, ("<U>", "<A>", "<B>"))) == {"<s>", "</s>", "<U>", "<A>"}


def test_marks_of_reasoning_are_none_even_if_they_are_flagged_as_special() -> None:
    thinking = CHATML.replace("assistant\n", "assistant\n[THINK]")
    assert tokens_of(Shape(thinking)) == ["</s>", "<s>", "<|im_end|>", "<|im_start|>"]


def test_without_a_template_the_special_ones_are_left() -> None:
    assert tokens_of(SHAPES["no_template"]) == ["</s>", "<s>"]
    assert tokens_of(SHAPES["syntax_error"]) == ["</s>", "<s>"]


def test_the_first_that_is_spelled_is_named() -> None:
    texts = pl.DataFrame({"t": ["a </s> b <s>", "<s></s>", "s", "", None]})
    assert texts.select(first_control_token(pl.col("t"), ["<s>", "</s>"])).to_series().to_list() == [
        "</s>",
        "<s>",
        None,
        None,
        None,
    ]
    assert texts.select(x=first_control_token(pl.col("t"), []))["x"].to_list() == [None] * 5


def test_a_template_that_only_refuses_leaves_the_special_ones() -> None:
    shape = Shape("{{ raise_exception('no') }}" + OPEN + FI)
    assert tokens_of(shape) == ["</s>", "<s>"]
