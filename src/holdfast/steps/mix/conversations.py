"""A row of a data file as a conversation: the shapes that people use, and what is wrong with a row."""

import json
from typing import Any, NamedTuple

from holdfast.steps.mix.meaning import Change, changed_columns, changed_message
from holdfast.steps.mix.shapes import SHAPES, used_columns

Message = dict[str, Any]  # role, content, and whatever else the row had: tool_calls, reasoning_content, …


ROLES = {
    "system": "system", "developer": "system", "user": "user", "human": "user",
    "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant", "model": "assistant", "bot": "assistant",
    "function_call": "assistant", "tool": "tool", "function": "tool",
    "observation": "tool", "function_response": "tool",
}  # fmt: skip


# what a chat template may read of a message besides role and content, in the order that it is written
_FIELDS = ("name", "reasoning_content", "reasoning", "thinking", "tool_plan", "tool_calls", "tool_call_id")


class Fault(ValueError):
    """What is wrong with one row."""


class ChangedMeaning(Fault):
    """A row in which something that training would pass over changes what the row means."""

    def __init__(self, change: Change) -> None:
        super().__init__(f"{change.what}: {change.repair}")
        self.change = change


class Conversation(NamedTuple):
    """A conversation that ends with the assistant."""

    messages: list[Message]
    tools: str | None  # JSON text: the tools on offer
    slice: str | None
    unused: set[str]  # columns, and fields of messages, that are not trained on


def conversation(row: dict[str, Any], shape: str, columns: dict[str, str], source: str = "") -> Conversation:
    """The conversation of one row of `source`. Raises Fault saying what is wrong.

    Tool-call arguments and tools become JSON text, the one form that Parquet, `datasets`, Axolotl and TRL keep whole.
    """
    used = used_columns(shape, columns)
    if change := next(changed_columns(row, shape, columns, source), None):
        raise ChangedMeaning(change)
    named = {name: row[column] for name, column in used.items() if column in row}
    for name in SHAPES[shape]:
        if named.get(name) is None:
            raise Fault(f"{used[name]!r} is missing")
    unused = {*row} - {*used.values()}
    messages = _BUILD[shape](named, unused)
    system = _text(named.get("system") or "", "system")
    if messages and messages[0]["role"] != "system" and system.strip():
        messages.insert(0, {"role": "system", "content": system})
    _check_order(messages)
    if system.strip() and system.strip() != messages[0]["content"].strip():
        raise Fault(f"{used['system']!r} and the first message are two different system messages; remove one")
    part = named.get("slice")
    return Conversation(messages, _tools(named.get("tools")), None if part is None else str(part), unused)


def _text(value: Any, what: str) -> str:
    if isinstance(value, list) and value and all(isinstance(part, dict) for part in value):
        value = "".join(_part(part, number, what) for number, part in enumerate(value, 1))
    if not isinstance(value, str):
        raise Fault(f"{what} is {_shown(value)}, a text is expected")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise Fault(f"{what} holds half a surrogate pair ({value[error.start]!a}), which is no character") from error
    return value


def _part(part: dict[str, Any], number: int, what: str) -> str:
    """The text of one part of a content such as `[{"type": "text", "text": …}]`."""
    kind = part.get("type", "text")
    if kind != "text":
        raise Fault(f"{what} holds {kind}; only text can be trained on")
    if "text" not in part:
        other = next((name for name in ("value", "content") if isinstance(part.get(name), str)), None)
        rename = f", but {other!r}; rename that" if other else ""
        raise Fault(f"part {number} of {what} has no 'text'{rename}")
    return _text(part["text"], f"part {number} of {what}")


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)[:60]


def _listed(value: Any, name: str) -> list[Any]:
    if isinstance(value, str):  # CSV has no lists
        try:
            value = json.loads(value)
        except ValueError as error:
            raise Fault(f"{name!r} is a text that is not JSON") from error
    if not isinstance(value, list):
        raise Fault(f"{name!r} is {_shown(value)}, a list is expected")
    if not value:
        raise Fault(f"{name!r} is empty")
    return value


def _messages(
    turns: list[Any], unused: set[str], role_key: str = "role", content_key: str = "content"
) -> list[Message]:
    messages = []
    for number, turn in enumerate(turns, 1):
        what = f"message {number}"
        if not isinstance(turn, dict):
            raise Fault(f"{what} is {_shown(turn)}, an object is expected")
        name = turn.get(role_key)
        if name is None:
            raise Fault(f"{what} has no {role_key!r}")
        role = ROLES.get(str(name).lower())
        if role is None:
            raise Fault(f"{what}: unknown role {name!r}; known: {', '.join(sorted(set(ROLES.values())))}")
        if change := changed_message(turn, role):
            raise ChangedMeaning(change)
        content, calls = turn.get(content_key), turn.get("tool_calls")
        if str(name).lower() == "function_call":
            calls, content = [_parsed(_text(content, what), f"{what}: the function call")], ""
        elif turn.get("function_call"):  # OpenAI's form before `tool_calls`
            calls = [turn["function_call"]]
        calls = [_call(call, what) for call in _listed(calls, f"tool_calls of {what}")] if calls else None
        content = _text("" if content is None and calls else content, f"content of {what}")
        fields = {field: turn[field] for field in _FIELDS if turn.get(field) is not None} | {"tool_calls": calls}
        unused |= {f"{field} of messages" for field in turn.keys() - {role_key, content_key, "function_call", *_FIELDS}}
        texts = {field: _text(fields[field], f"{field} of {what}") for field in fields if field != "tool_calls"}
        own = texts | ({"tool_calls": calls} if calls else {})
        messages.append({"role": role, "content": content, **{field: own[field] for field in _FIELDS if field in own}})
    return messages


def _parsed(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise Fault(f"{what} is not JSON: {error}") from error


def _call(call: Any, what: str) -> dict[str, Any]:
    function = (call.get("function") or call) if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise Fault(f"{what}: a tool call needs a function with a name, found {_shown(call)}")
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        arguments = _parsed(arguments, f"{what}: the arguments of {function['name']}")
    outer = {"id": _text(call["id"], f"{what}: the id of a tool call")} if call.get("id") is not None else {}
    text = _json({} if arguments is None else arguments, f"{what}: the arguments of {function['name']}")
    return {"type": "function", **outer, "function": {"name": function["name"], "arguments": text}}


def _json(value: Any, what: str) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:  # Arrow also has dates, bytes and numbers that are none
        raise Fault(f"{what} cannot be written as JSON: {error}") from error


def _tools(tools: Any) -> str | None:
    if tools is None or tools in ("", "[]", []):
        return None
    listed = _listed(tools, "tools")
    if not all(isinstance(tool, dict) for tool in listed):
        raise Fault("'tools' must list objects")
    return _json(listed, "tools")


def _check_order(messages: list[Message]) -> None:
    for number, message in enumerate(messages, 1):
        role, before = message["role"], messages[number - 2]["role"] if number > 1 else None
        if role == "system" and number > 1:
            raise Fault(f"message {number} is a system message, but only the first one may be")
        if role == "tool" and before not in ("assistant", "tool"):
            raise Fault(f"message {number} is a tool's answer that nothing asked for")
        if role == "assistant" and before in (None, "system"):
            raise Fault(f"message {number} is the assistant's, but no user has spoken")
        if role == before and role in ("user", "assistant"):
            raise Fault(f"messages {number - 1} and {number} are both the {role}'s")
        if not message["content"].strip() and not message.get("tool_calls") and role != "tool":
            raise Fault(f"message {number} ({role}) is empty")
    if messages[-1]["role"] != "assistant":
        raise Fault(f"the last message is the {messages[-1]['role']}'s, so there is no answer to learn")


def _alpaca(row: dict[str, Any], _unused: set[str]) -> list[Message]:
    messages: list[Message] = []
    for number, pair in enumerate(row.get("history") or [], 1):
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise Fault(f"'history' {number} is not a pair of instruction and output")
        messages += _pair(_text(pair[0], "history"), _text(pair[1], "history"))
    instruction, given = _text(row["instruction"], "instruction"), _text(row.get("input") or "", "input")
    return messages + _pair(instruction + (f"\n\n{given}" if given.strip() else ""), _text(row["output"], "output"))


def _pair(asked: str, answered: str) -> list[Message]:
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]


def _prompt_completion(row: dict[str, Any], unused: set[str]) -> list[Message]:
    prompt, completion = row["prompt"], row["completion"]
    if isinstance(prompt, list) and isinstance(completion, list):
        return _messages(prompt + completion, unused)
    return _pair(_text(prompt, "prompt"), _text(completion, "completion"))


def _conversations(row: dict[str, Any], unused: set[str]) -> list[Message]:
    turns = _listed(row["conversations"], "conversations")
    sharegpt = isinstance(turns[0], dict) and "from" in turns[0]
    return _messages(turns, unused, "from", "value") if sharegpt else _messages(turns, unused)


_BUILD = {
    "messages": lambda row, unused: _messages(_listed(row["messages"], "messages"), unused),
    "conversations": _conversations,
    "alpaca": _alpaca,
    "prompt_completion": _prompt_completion,
    "question_answer": lambda row, _: _pair(_text(row["question"], "question"), _text(row["answer"], "answer")),
}
