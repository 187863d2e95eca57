"""A row of a data file as a conversation."""

from typing import Any, NamedTuple

from holdfast.steps.mix.messages import Fault, Message, UnsupportedRow, json_text, list_of, text_of
from holdfast.steps.mix.shapes import SHAPES, used_columns
from holdfast.steps.mix.unsupported import unsupported_columns


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
    if unsupported := next(unsupported_columns(row, shape, SHAPES[shape].columns, used, source), None):
        raise UnsupportedRow(unsupported)
    named = {name: row[column] for name, column in used.items() if column in row}
    for name in SHAPES[shape].columns:
        if named.get(name) is None:
            raise Fault(f"{used[name]!r} is missing")
    unused = {*row} - {*used.values()}
    messages = SHAPES[shape].messages(named, unused)
    system = text_of(named.get("system") or "", "system")
    if messages and messages[0]["role"] != "system" and system.strip():
        messages.insert(0, {"role": "system", "content": system})
    _check_order(messages)
    if system.strip() and system.strip() != messages[0]["content"].strip():
        raise Fault(f"{used['system']!r} and the first message are two different system messages; remove one")
    part = named.get("slice")
    return Conversation(messages, _tools(named.get("tools")), None if part is None else str(part), unused)


def _tools(tools: Any) -> str | None:
    if tools is None or tools in ("", "[]", []):
        return None
    listed = list_of(tools, "tools")
    if not all(isinstance(tool, dict) for tool in listed):
        raise Fault("'tools' must list objects")
    return json_text(listed, "tools")


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
