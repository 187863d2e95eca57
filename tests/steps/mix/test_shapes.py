"""Rows of other people's columns: the mapping that uses all of them, and what changes a row's meaning."""

import pytest
import yaml

from holdfast.steps.mix.conversations import conversation
from holdfast.steps.mix.messages import UnsupportedRow
from holdfast.steps.mix.shapes import shape_of
from holdfast.steps.mix.suggestions import suggestion

TURNS = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]


@pytest.mark.parametrize(
    ("row", "columns"),
    [
        ({"instruction": "q", "input": "i", "response": "a"}, {"output": "response"}),
        (
            {"instruction": "q", "context": "i", "response": "a", "category": "c"},
            {"input": "context", "output": "response"},
        ),
        ({"question": "q", "response": "a", "system_prompt": "s"}, {"answer": "response", "system": "system_prompt"}),
        ({"Question": "q", "Answer": "a"}, {"question": "Question", "answer": "Answer"}),
        ({"prompt": "q", "response": "a"}, {"completion": "response"}),
        ({"prompt": "q", "generation": "a"}, {"completion": "generation"}),
        ({"input": "q", "output": "a"}, {"instruction": "input"}),
        ({"message_1": "q", "message_2": "a"}, {"question": "message_1", "answer": "message_2"}),
        ({"conversation": TURNS}, {"messages": "conversation"}),
        ({"dialog": [{"from": "human", "value": "q"}]}, {"conversations": "dialog"}),
        ({"prompt": "q", "chosen": "a", "rejected": "b"}, {"completion": "chosen"}),
        ({"chosen": TURNS, "rejected": TURNS}, {"messages": "chosen"}),
        ({"prompt": TURNS[:1], "chosen": TURNS[1:], "rejected": TURNS[1:]}, {"completion": "chosen"}),
        ({"instruction": "q", "chosen_response": "a", "rejected_response": "b"}, {"output": "chosen_response"}),
    ],
)
def test_the_mapping_suggested_uses_all_of_a_row(row, columns):
    assert shape_of(row, {}) is None
    said = suggestion(row, "mine")
    assert said.startswith("set sources.mine.columns to {")
    assert yaml.safe_load(said.partition(" to ")[2]) == columns
    shape = shape_of(row, columns)
    assert shape is not None
    if row.get("dialog") is None:
        found = conversation(row, shape, columns, "mine")  # and nothing in it changes the meaning then
        asked = found.messages[-2]["content"]
        assert asked == ("q\n\ni" if "i" in row.values() else "q")


def test_the_shape_whose_columns_are_named_wins():
    row = {"messages": TURNS, "prompt": "q", "reply": "a"}
    assert shape_of(row, {}) == "messages"
    assert shape_of(row, {"completion": "reply"}) == "prompt_completion"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"text": "x"}, "a column of plain text has no answer to learn"),
        ({"input_ids": [1], "labels": [1]}, "token ids"),
        ({"segments": [{"label": True, "text": "x"}]}, "input_output"),
        ({"prompt": "q", "completions": ["a"], "labels": [True]}, "stepwise supervision"),
        ({"x": "q", "y": "a"}, "for example {question: …, answer: …}"),
    ],
)
def test_what_a_row_is_instead_is_said(row, said):
    assert said in suggestion(row, "mine")


PAIR = {"prompt": "q", "completion": "a"}
ALPACA = {"instruction": "q", "output": "a"}
ASKED = {"question": "q", "answer": "a"}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (PAIR | {"label": False}, "label is false: it marks a bad answer (KTO)"),
        (PAIR | {"label": 0}, "label is false"),
        (PAIR | {"label": "False"}, "label is false"),
        (PAIR | {"rejected": "b"}, "one is bad (DPO); name the good one, sources.mine.columns: {completion: chosen}"),
        ({"messages": TURNS, "chosen": TURNS, "rejected": TURNS}, "sources.mine.columns: {messages: chosen}"),
        ({"messages": TURNS, "images": ["a.png"]}, "images is not empty: the answer would be learnt without it"),
        ({"messages": TURNS, "image": b"PNG"}, "image is not empty"),
        ({"messages": TURNS, "audio": {"path": "a.wav"}}, "audio is not empty"),
        ({"conversations": TURNS, "videos": "a.mp4"}, "videos is not empty"),
        (ASKED | {"context": "c"}, "{instruction: question, input: context, output: answer}"),
        (ASKED | {"choices": ["a", "b"]}, "choices is not empty"),
        (PAIR | {"input": "c"}, "{instruction: prompt, input: input, output: completion}"),
        (PAIR | {"history": [["a", "b"]]}, "the earlier turns would be lost"),
        (ASKED | {"system_prompt": "Be brief"}, "{system: system_prompt}"),
        ({"messages": TURNS, "functions": [{"name": "f"}]}, "{tools: functions}"),
        ({"messages": TURNS, "documents": [{"text": "d"}]}, "put it into the messages"),
        ({"messages": TURNS, "chat_template_kwargs": {"enable_thinking": False}}, "what the chat template writes"),
        (PAIR | {"completion_mask": [0, 1]}, "it masks tokens"),
        (ALPACA | {"reflection": "no", "corrected": "b"}, "it corrects the answer"),
        ({"messages": [TURNS[0], TURNS[1] | {"weight": 0}]}, "weight of assistant is 0: every answer is trained on"),
        ({"messages": [TURNS[0], TURNS[1] | {"train": False}]}, "train of assistant is false"),
        ({"messages": [TURNS[0], TURNS[1] | {"training": False}]}, "training of assistant is false"),
        ({"messages": [TURNS[0] | {"training": True}, TURNS[1]]}, "training of user is true"),
        ({"messages": [TURNS[0], TURNS[1] | {"loss": False}]}, "loss of assistant is false"),
        (
            {
                "messages": [
                    TURNS[0],
                    TURNS[1] | {"train_detail": [{"begin_offset": 0, "end_offset": 1, "train": False}]},
                ]
            },
            "train_detail is not empty",
        ),
        (
            {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a", "weight": 0}]},
            "weight of assistant is 0",
        ),
        ({"messages": [TURNS[0] | {"images": ["a.png"]}, TURNS[1]]}, "images of user is not empty"),
    ],
)
def test_what_changes_the_meaning_of_a_row_is_refused(row, said):
    shape = shape_of(row, {})
    assert shape is not None
    with pytest.raises(UnsupportedRow) as error:
        conversation(row, shape, {}, "mine")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("row", "columns"),
    [
        (PAIR | {"label": True, "images": [], "audio": None, "rejected": ""}, {}),
        (ASKED | {"label": 0}, {}),  # a class, not a judgement
        (ASKED | {"label": "billing", "context": None, "choices": "[]"}, {}),
        (PAIR | {"chosen": "c", "rejected": "b"}, {"completion": "chosen"}),
        ({"messages": TURNS, "chosen": TURNS, "rejected": TURNS}, {"messages": "chosen"}),
        (ASKED | {"context": "c"}, {"instruction": "question", "input": "context", "output": "answer"}),
        (ASKED | {"system_prompt": "s"}, {"system": "system_prompt"}),
        (ALPACA | {"reflection": "no", "corrected": "b"}, {"output": "corrected"}),
        ({"messages": [TURNS[0] | {"weight": 0, "train": False}, TURNS[1] | {"weight": 1.0, "train": True}]}, {}),
    ],
)
def test_what_leaves_the_meaning_is_taken(row, columns):
    shape = shape_of(row, columns)
    assert shape is not None
    assert conversation(row, shape, columns, "mine").messages[-1]["role"] == "assistant"
