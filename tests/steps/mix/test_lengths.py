"""Token counts of conversations, in templates that want contents otherwise."""

import json

import polars as pl
import pytest

from holdfast.chat.template import Refused, Template
from holdfast.steps.mix.lengths import measure
from small_tokenizers import tokenizer
from templates import SHAPES


def rows(*answers: str) -> pl.DataFrame:
    talks = [[{"role": "user", "content": "Say it"}, {"role": "assistant", "content": answer}] for answer in answers]
    tools = pl.lit(None, pl.String)
    return pl.DataFrame({"conversation": [json.dumps(talk) for talk in talks]}).with_columns(tools=tools)


def test_a_template_that_takes_parts_counts_the_words() -> None:
    text, parts = (Template(tokenizer(SHAPES[name])) for name in ("chatml", "parts_only"))
    answers = ["a", "word " * 30]
    expected = measure(rows(*answers), text, 1000, "reject")[0]["tokens"]
    counted, refused = measure(rows(*answers), parts, 1000, "reject")
    assert counted["tokens"].to_list() == expected.to_list()
    assert refused.is_empty()


def test_a_template_that_leaves_out_the_words_is_refused() -> None:
    with pytest.raises(Refused, match="leaves out or changes the user's text"):
        measure(rows("a"), Template(tokenizer(SHAPES["shouts"])), 1000, "reject")
