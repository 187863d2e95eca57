"""A row of a data file as a conversation: the shapes that people use, and what is wrong with a row."""

import json
from typing import Any, NamedTuple

Message = dict[str, Any]  # role, content, and whatever else the row had: tool_calls, reasoning_content, …


ROLES = {
    "system": "system", "developer": "system", "user": "user", "human": "user",
    "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant", "model": "assistant", "bot": "assistant",
    "function_call": "assistant", "tool": "tool", "function": "tool",
    "observation": "tool", "function_response": "tool",
}  # fmt: skip


# the columns that tell a shape; the first one whose columns are all there
SHAPES = {
    "messages": ("messages",),
    "conversations": ("conversations",),
    "alpaca": ("instruction", "output"),
    "prompt_completion": ("prompt", "completion"),
    "question_answer": ("question", "answer"),
}


class Fault(ValueError):
    """What is wrong with one row."""


class Conversation(NamedTuple):
    """A conversation that ends with the assistant."""

    messages: list[Message]
    tools: str | None  # JSON text: the tools on offer
    slice: str | None


def shape_of(row: dict[str, Any], columns: dict[str, str]) -> str | None:
    """The name of the row's shape, told by its columns (`columns`: our name -> the file's), or None."""
    fits = (shape for shape, needed in SHAPES.items() if all(columns.get(name, name) in row for name in needed))
    return next(fits, None)


def conversation(row: dict[str, Any], shape: str, columns: dict[str, str]) -> Conversation:
    """The row's conversation. Raises Fault saying what is wrong.

    Tool-call arguments and tools become JSON text, the one form that Parquet, `datasets`, Axolotl and TRL keep whole.
    """
    named = {name: row[column] for name in _COLUMNS if (column := columns.get(name, name)) in row}
    for name in SHAPES[shape]:
        if named.get(name) is None:
            raise Fault(f"{columns.get(name, name)!r} is missing")
    messages = _BUILD[shape](named)
    if messages and messages[0]["role"] != "system" and (system := _text(named.get("system") or "", "system")).strip():
        messages.insert(0, {"role": "system", "content": system})
    _check_order(messages)
    part = named.get("slice")
    return Conversation(messages, _tools(named.get("tools")), None if part is None else str(part))


def _text(value: Any, what: str) -> str:
    if (
        isinstance(value, list)
        and value
        and all(isinstance(part, dict) and part.get("type") == "text" for part in value)
    ):
        value = "".join(_text(part.get("text"), what) for part in value)
    if isinstance(value, list) and any(isinstance(part, dict) and "type" in part for part in value):
        kinds = sorted({str(part.get("type")) for part in value if isinstance(part, dict)} - {"text"})
        raise Fault(f"{what} holds {', '.join(kinds)}; only text can be trained on")
    if not isinstance(value, str):
        raise Fault(f"{what} is {json.dumps(value, default=str)[:60]}, a text is expected")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise Fault(f"{what} holds half a surrogate pair ({value[error.start]!a}), which is no character") from error
    return value


def _listed(value: Any, name: str) -> list[Any]:
    if isinstance(value, str):  # CSV has no lists
        try:
            value = json.loads(value)
        except ValueError as error:
            raise Fault(f"{name!r} is a text that is not JSON") from error
    if not isinstance(value, list):
        raise Fault(f"{name!r} is {json.dumps(value, default=str)[:60]}, a list is expected")
    if not value:
        raise Fault(f"{name!r} is empty")
    return value


def _messages(turns: list[Any], role_key: str = "role", content_key: str = "content") -> list[Message]:
    messages = []
    for number, turn in enumerate(turns, 1):
        what = f"message {number}"
        if not isinstance(turn, dict):
            raise Fault(f"{what} is {json.dumps(turn, default=str)[:60]}, an object is expected")
        role = turn.get(role_key)
        if role is None:
            raise Fault(f"{what} has no {role_key!r}")
        if str(role).lower() not in ROLES:
            raise Fault(f"{what}: unknown role {role!r}; known: {', '.join(sorted(set(ROLES.values())))}")
        extra = {k: v for k, v in turn.items() if k not in (role_key, content_key) and v is not None}
        content = turn.get(content_key)
        if str(role).lower() == "function_call":
            extra["tool_calls"], content = [_parsed(_text(content, what), f"{what}: the function call")], ""
        if calls := extra.get("tool_calls"):
            extra["tool_calls"] = [_call(call, what) for call in _listed(calls, f"tool_calls of {what}")]
            content = content or ""
        else:
            extra.pop("tool_calls", None)
        messages.append({"role": ROLES[str(role).lower()], "content": _text(content, f"content of {what}"), **extra})
    return messages


def _parsed(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise Fault(f"{what} is not JSON: {error}") from error


def _call(call: Any, what: str) -> dict[str, Any]:
    function = call.get("function", call) if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise Fault(f"{what}: a tool call needs a function with a name, found {json.dumps(call, default=str)[:60]}")
    arguments = function.get("arguments", {})
    arguments = (
        _parsed(arguments, f"{what}: the arguments of {function['name']}") if isinstance(arguments, str) else arguments
    )
    outer = {k: v for k, v in call.items() if v is not None and k not in ("function", "name", "arguments")}
    return {"type": "function", **outer, "function": {"name": function["name"], "arguments": _json(arguments)}}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _tools(tools: Any) -> str | None:
    if tools is None or tools in ("", "[]", []):
        return None
    listed = _listed(tools, "tools")
    if not all(isinstance(tool, dict) for tool in listed):
        raise Fault("'tools' must list objects")
    return _json(listed)


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


def _alpaca(row: dict[str, Any]) -> list[Message]:
    messages: list[Message] = []
    for number, pair in enumerate(row.get("history") or [], 1):
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise Fault(f"'history' {number} is not a pair of instruction and output")
        messages += _pair(_text(pair[0], "history"), _text(pair[1], "history"))
    instruction, given = _text(row["instruction"], "instruction"), _text(row.get("input") or "", "input")
    return messages + _pair(instruction + (f"\n\n{given}" if given.strip() else ""), _text(row["output"], "output"))


def _pair(asked: str, answered: str) -> list[Message]:
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]


def _prompt_completion(row: dict[str, Any]) -> list[Message]:
    prompt, completion = row["prompt"], row["completion"]
    if isinstance(prompt, list) and isinstance(completion, list):
        return _messages(prompt + completion)
    return _pair(_text(prompt, "prompt"), _text(completion, "completion"))


def _conversations(row: dict[str, Any]) -> list[Message]:
    turns = _listed(row["conversations"], "conversations")
    sharegpt = isinstance(turns[0], dict) and "from" in turns[0]
    return _messages(turns, "from", "value") if sharegpt else _messages(turns)


_COLUMNS = ("messages", "conversations", "system", "tools", "slice", "instruction", "input", "output", "history",
            "prompt", "completion", "question", "answer")  # fmt: skip


_BUILD = {
    "messages": lambda row: _messages(_listed(row["messages"], "messages")),
    "conversations": _conversations,
    "alpaca": _alpaca,
    "prompt_completion": _prompt_completion,
    "question_answer": lambda row: _pair(_text(row["question"], "question"), _text(row["answer"], "answer")),
}
