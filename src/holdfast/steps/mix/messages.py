"""The messages of a row, in one form: roles, contents and tool calls as chat templates take them."""

import json
from typing import Any

from holdfast.steps.mix.unsupported import Unsupported, unsupported_field

Message = dict[str, Any]  # role, content, and those of FIELDS that the row has

ROLES = {
    "system": "system", "developer": "system", "user": "user", "human": "user",
    "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant", "model": "assistant", "bot": "assistant",
    "function_call": "assistant", "tool": "tool", "function": "tool",
    "observation": "tool", "function_response": "tool",
}  # fmt: skip

# what a chat template may read of a message besides role and content, in the order that it is written
FIELDS = ("name", "reasoning_content", "reasoning", "thinking", "tool_plan", "tool_calls", "tool_call_id")


class Fault(ValueError):
    """What is wrong with one row."""


class UnsupportedRow(Fault):
    """A row with something that training would ignore although it changes what the row means."""

    def __init__(self, found: Unsupported) -> None:
        super().__init__(f"{found.what}: {found.repair}")


def messages_of(
    turns: list[Any], unused: set[str], role_key: str = "role", content_key: str = "content"
) -> list[Message]:
    messages = []
    for number, turn in enumerate(turns, 1):
        what = f"message {number}"
        if not isinstance(turn, dict):
            raise Fault(f"{what} is {shown(turn)}, an object is expected")
        name = turn.get(role_key)
        if name is None:
            raise Fault(f"{what} has no {role_key!r}")
        role = ROLES.get(str(name).lower())
        if role is None:
            raise Fault(f"{what}: unknown role {name!r}; known: {', '.join(sorted(set(ROLES.values())))}")
        if found := unsupported_field(turn, role):
            raise UnsupportedRow(found)
        content, calls = turn.get(content_key), turn.get("tool_calls")
        if str(name).lower() == "function_call":
            calls, content = [_parsed(text_of(content, what), f"{what}: the function call")], ""
        elif turn.get("function_call"):  # OpenAI's form before `tool_calls`
            calls = [turn["function_call"]]
        calls = [_call(call, what) for call in list_of(calls, f"tool_calls of {what}")] if calls else None
        content = text_of("" if content is None and calls else content, f"content of {what}")
        fields = {field: turn[field] for field in FIELDS if turn.get(field) is not None} | {"tool_calls": calls}
        unused |= {f"{field} of messages" for field in turn.keys() - {role_key, content_key, "function_call", *FIELDS}}
        texts = {field: text_of(fields[field], f"{field} of {what}") for field in fields if field != "tool_calls"}
        own = texts | ({"tool_calls": calls} if calls else {})
        messages.append({"role": role, "content": content, **{field: own[field] for field in FIELDS if field in own}})
    return messages


def text_of(value: Any, what: str) -> str:
    if isinstance(value, list) and value and all(isinstance(part, dict) for part in value):
        value = "".join(_part(part, number, what) for number, part in enumerate(value, 1))
    if not isinstance(value, str):
        raise Fault(f"{what} is {shown(value)}, a text is expected")
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
    return text_of(part["text"], f"part {number} of {what}")


def shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)[:60]


def list_of(value: Any, name: str) -> list[Any]:
    if isinstance(value, str):  # CSV has no lists
        try:
            value = json.loads(value)
        except ValueError as error:
            raise Fault(f"{name!r} is a text that is not JSON") from error
    if not isinstance(value, list):
        raise Fault(f"{name!r} is {shown(value)}, a list is expected")
    if not value:
        raise Fault(f"{name!r} is empty")
    return value


def _parsed(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise Fault(f"{what} is not JSON: {error}") from error


def _call(call: Any, what: str) -> dict[str, Any]:
    function = (call.get("function") or call) if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise Fault(f"{what}: a tool call needs a function with a name, found {shown(call)}")
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        arguments = _parsed(arguments, f"{what}: the arguments of {function['name']}")
    outer = {"id": text_of(call["id"], f"{what}: the id of a tool call")} if call.get("id") is not None else {}
    text = json_text({} if arguments is None else arguments, f"{what}: the arguments of {function['name']}")
    return {"type": "function", **outer, "function": {"name": function["name"], "arguments": text}}


def json_text(value: Any, what: str) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:  # Arrow also has dates, bytes and numbers that are none
        raise Fault(f"{what} cannot be written as JSON: {error}") from error


def exchange(asked: str, answered: str) -> list[Message]:
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
