"""Rows of every shape become the same conversation; faults are named."""

import json

import pytest

from holdfast.steps.mix.conversations import conversation
from holdfast.steps.mix.messages import Fault
from holdfast.steps.mix.shapes import shape_of

ASKED = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
PAIR = {"prompt": [{"role": "user", "content": "Hi"}], "completion": [{"role": "assistant", "content": "Hello"}]}
CALL = {"name": "add", "arguments": {"b": 2, "a": 1}}


@pytest.mark.parametrize(
    ("row", "shape"),
    [
        ({"messages": ASKED, "id": 7}, "messages"),
        ({"messages": json.dumps(ASKED)}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}, ASKED[1]]}, "messages"),
        ({"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]}, "conversations"),
        ({"conversations": ASKED}, "conversations"),
        ({"instruction": "Hi", "input": "", "output": "Hello"}, "alpaca"),
        ({"instruction": "Hi", "output": "Hello"}, "alpaca"),
        ({"prompt": "Hi", "completion": "Hello"}, "prompt_completion"),
        (PAIR, "prompt_completion"),
        ({"question": "Hi", "answer": "Hello"}, "question_answer"),
    ],
)
def test_a_row_is_recognised_by_its_columns(row, shape):
    assert shape_of(row, {}) == shape
    assert conversation(row, shape, {}).messages == ASKED


def test_columns_may_have_names_of_their_own():
    row = {"q": "Hi", "reply": "Hello", "part": "greeting"}
    columns = {"question": "q", "answer": "reply", "slice": "part"}
    assert shape_of(row, {}) is None
    assert shape_of(row, columns) == "question_answer"
    assert conversation(row, "question_answer", columns) == (ASKED, None, "greeting", set())


def test_alpaca_input_system_and_history():
    row = {"instruction": "Add", "input": "1 2", "output": "3", "system": "Be brief", "history": [["Hi", "Hello"]]}
    system = {"role": "system", "content": "Be brief"}
    added = [{"role": "user", "content": "Add\n\n1 2"}, {"role": "assistant", "content": "3"}]
    assert conversation(row, "alpaca", {}).messages == [system, *ASKED, *added]


def test_tool_calls_and_thinking_survive():
    tools = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]
    messages = [
        {"role": "user", "content": "1+2?", "name": None},
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "use the tool",
            "tool_calls": [{"id": "c1", "function": CALL}],
        },
        {"role": "tool", "content": "3", "tool_call_id": "c1"},
        {"role": "assistant", "content": "<think>easy</think>3", "weight": 1},
    ]
    found = conversation({"messages": messages, "tools": tools}, "messages", {})
    assert json.loads(found.tools or "") == tools
    called = {"type": "function", "id": "c1", "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'}}
    assert found.messages[1] == {
        "role": "assistant",
        "content": "",
        "reasoning_content": "use the tool",
        "tool_calls": [called],
    }
    assert found.messages[2]["tool_call_id"] == "c1"
    assert found.messages[3] == {"role": "assistant", "content": "<think>easy</think>3"}
    assert found.unused == {"weight of messages"}  # 1: trained on, as all answers are
    assert found.messages[0] == {"role": "user", "content": "1+2?"}


def test_sharegpt_function_calls_become_tool_calls():
    turns = [
        {"from": "human", "value": "1+2?"},
        {"from": "function_call", "value": json.dumps(CALL)},
        {"from": "observation", "value": "3"},
        {"from": "gpt", "value": "It is 3."},
    ]
    found = conversation({"conversations": turns, "tools": "[]"}, "conversations", {}).messages
    assert [m["role"] for m in found] == ["user", "assistant", "tool", "assistant"]
    assert found[1]["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a": 1, "b": 2}'}


USER, ANSWER = ASKED


def test_openais_earlier_function_calls_are_tool_calls():
    call = {"role": "assistant", "content": None, "function_call": CALL | {"arguments": '{"a": 1, "b": 2}'}}
    found = conversation({"messages": [USER, call]}, "messages", {}).messages
    assert found[1]["tool_calls"] == [
        {"type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'}}
    ]


def test_two_system_messages_are_a_fault():
    row = {"messages": [{"role": "system", "content": "Be brief"}, *ASKED], "system": "Be long"}
    with pytest.raises(Fault, match="'system' and the first message are two different system messages"):
        conversation(row, "messages", {})
    assert conversation(row | {"system": "Be brief "}, "messages", {}).messages == row["messages"]


@pytest.mark.parametrize(
    ("messages", "fault"),
    [
        ([], "'messages' is empty"),
        ("no list", "'messages' is a text that is not JSON"),
        ({"role": "user"}, "a list is expected"),
        (["Hi"], 'message 1 is "Hi", an object is expected'),
        ([{"content": "Hi"}], "message 1 has no 'role'"),
        (
            [{"role": "user", "content": [{"type": "text", "value": "Hi"}]}, ANSWER],
            "no 'text', but 'value'; rename that",
        ),
        ([USER, ANSWER | {"content": [{"type": "text"}]}], "part 1 of content of message 2 has no 'text'"),
        ([{"role": "narrator", "content": "Hi"}], "message 1: unknown role 'narrator'"),
        ([USER, {"role": "assistant", "content": None}], "content of message 2 is null"),
        ([USER, {"role": "assistant", "content": 3}], "content of message 2 is 3"),
        ([USER, {"role": "assistant", "content": "  "}], "message 2 (assistant) is empty"),
        ([USER], "the last message is the user's, so there is no answer to learn"),
        ([ANSWER], "message 1 is the assistant's, but no user has spoken"),
        ([USER, USER, ANSWER], "messages 1 and 2 are both the user's"),
        ([USER, {"role": "system", "content": "x"}, ANSWER], "message 2 is a system message"),
        ([USER, {"role": "tool", "content": "x"}, ANSWER], "message 2 is a tool's answer that nothing asked for"),
        ([{"role": "user", "content": [{"type": "image"}]}, ANSWER], "content of message 1 holds image"),
        ([{"role": "user", "content": "\ud800"}, ANSWER], "half a surrogate pair"),
        ([USER, {"role": "assistant", "content": "", "tool_calls": ["f"]}], "message 2: a tool call needs a function"),
        (
            [USER, {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{a"}}]}],
            "message 2: the arguments of f is not JSON",
        ),
    ],
)
def test_faults_are_named(messages, fault):
    with pytest.raises(Fault) as found:
        conversation({"messages": messages}, "messages", {})
    assert fault in str(found.value)


def test_a_missing_column_is_named_as_in_the_file():
    with pytest.raises(Fault, match="'reply' is missing"):
        conversation({"question": "Hi"}, "question_answer", {"answer": "reply"})
