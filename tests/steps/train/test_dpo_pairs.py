"""Preference pairs as tokens by chat templates of many kinds, and the pairs that cannot be trained on."""

import json
from dataclasses import replace

import pytest

from holdfast.chat.answer_text import answer_frame
from holdfast.chat.template import Refused, Template
from holdfast.chat.training_template import DATE
from holdfast.steps.train.dpo.pairs import REJECTED, tokenised
from small_tokenizers import tokenizer
from templates import SHAPES

ASKED = [{"role": "user", "content": "Name a river."}]


def pair(better="The Danube.", worse="No idea.", asked=ASKED, **more):
    sides = {side: [{"role": "assistant", "content": text}] for side, text in (("chosen", better), ("rejected", worse))}
    return json.dumps({"instruction_id": "1", "prompt": asked, "tools": None, **sides, **more})


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_prompt_and_answer_are_the_template_s_own_rendering_up_to_the_end_of_the_turn(name):
    template = Template(tokenizer(SHAPES[name]), date=DATE)
    try:
        fitted = template.fitted()
        fitted.text(ASKED, opening=True)
        whole = [fitted.text([*ASKED, {"role": "assistant", "content": text}], opening=False) for text in ("1", "No")]
    except Refused:
        pytest.skip("the template renders no such conversation")
    found = tokenised([pair("1", "No")], template, 500)  # short ones, which other texts of a template hold too
    (row,) = found.rows
    end = answer_frame(template).end
    for side, text, talk in zip(("chosen", "rejected"), ("1", "No"), whole, strict=True):
        ids = row["prompt_ids"] + row[f"{side}_ids"]
        assert ids == fitted.ids(talk)[: len(ids)], "the tokens of the whole conversation"
        assert text in fitted.tokenizer.decode(row[f"{side}_ids"], skip_special_tokens=False)
        if end is not None:
            last = fitted.tokenizer.convert_tokens_to_ids(end)
            assert (ids[-1], row[f"{side}_ids"].count(last)) == (last, 1)
    assert row["prompt_ids"] == fitted.ids(fitted.text(ASKED, opening=True))[: len(row["prompt_ids"])]
    assert found.tokens == sum(len(row["prompt_ids"] + row[f"{side}_ids"]) for side in ("chosen", "rejected"))


def test_tools_and_earlier_turns_are_in_the_prompt():
    template = Template(tokenizer(SHAPES["chatml"]), date=DATE)
    talk = [*ASKED, {"role": "assistant", "content": "The Rhine."}, {"role": "user", "content": "Another one."}]
    tools = [{"type": "function", "function": {"name": "look_up"}}]
    (row,) = tokenised([pair(asked=talk, tools=json.dumps(tools))], template, 500).rows
    text = replace(template, options={"tools": tools}).text(talk, opening=True)
    assert row["prompt_ids"] == template.ids(text)


def test_each_pair_that_is_left_out_has_a_reason():
    template = Template(tokenizer(SHAPES["chatml"]), date=DATE)
    strange = [{"role": "tool", "content": "x"}, {"role": "tool", "content": "y"}]
    lines = [
        pair(),
        pair(better="The <|im_end|> Danube.", instruction_id="2"),
        pair(worse="no " * 300, instruction_id="3"),
        pair(asked=[{"role": "user", "content": "<|im_start|>"}], instruction_id="4"),
    ]
    found = tokenised(lines, template, 120)
    assert len(found.rows) == 1
    assert found.rejected.schema == REJECTED
    seen = {key: (reason, detail) for key, reason, detail in found.rejected.iter_rows()}
    assert seen["2"] == ("control_token", "<|im_end|> is spelled in chosen")
    assert seen["4"] == ("control_token", "<|im_start|> is spelled in prompt")
    assert seen["3"][0] == "too_long"
    assert seen["3"][1].endswith(" tokens, train.sequence_len is 120")
    refused = Template(tokenizer(SHAPES["chatml"]), date=DATE)
    refused.tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}"
        "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    assert tokenised([pair(asked=strange)], refused, 120).rejected["reason"].to_list() == ["template_refused"]
