"""Row formats: the shapes that a data file's rows may have, detected by their columns.

A new one is an entry in SHAPES, with a function that makes messages of a row.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from holdfast.steps.mix.messages import Fault, Message, exchange, list_of, messages_of, text_of

Row = Mapping[str, Any]  # our name of a column -> what it holds


def _alpaca(row: Row, _: set[str]) -> list[Message]:
    messages: list[Message] = []
    for number, pair in enumerate(row.get("history") or [], 1):
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise Fault(f"'history' {number} is not a pair of instruction and output")
        messages += exchange(text_of(pair[0], "history"), text_of(pair[1], "history"))
    instruction, given = text_of(row["instruction"], "instruction"), text_of(row.get("input") or "", "input")
    return messages + exchange(
        instruction + (f"\n\n{given}" if given.strip() else ""), text_of(row["output"], "output")
    )


def _prompt_completion(row: Row, ignored: set[str]) -> list[Message]:
    prompt, completion = row["prompt"], row["completion"]
    if isinstance(prompt, list) and isinstance(completion, list):
        return messages_of(prompt + completion, ignored)
    return exchange(text_of(prompt, "prompt"), text_of(completion, "completion"))


def _conversations(row: Row, ignored: set[str]) -> list[Message]:
    turns = list_of(row["conversations"], "conversations")
    sharegpt = isinstance(turns[0], dict) and "from" in turns[0]
    return messages_of(turns, ignored, "from", "value") if sharegpt else messages_of(turns, ignored)


class Shape(NamedTuple):
    """One row format. `messages` gets a row by our names of its columns, and adds the fields that it ignores to a
    set."""

    columns: tuple[str, ...]  # that a row needs; the answer is the last one
    messages: Callable[[Row, set[str]], list[Message]]
    optional: tuple[str, ...] = ()


SHAPES = {  # a row has the first shape whose columns it has
    "messages": Shape(("messages",), lambda row, ignored: messages_of(list_of(row["messages"], "messages"), ignored)),
    "conversations": Shape(("conversations",), _conversations),
    "alpaca": Shape(("instruction", "output"), _alpaca, ("input", "history")),
    "prompt_completion": Shape(("prompt", "completion"), _prompt_completion),
    "question_answer": Shape(
        ("question", "answer"),
        lambda row, _: exchange(text_of(row["question"], "question"), text_of(row["answer"], "answer")),
    ),
}
ANY_SHAPE = ("system", "tools", "slice")  # columns that rows of every shape may have


def shape_of(row: Mapping[str, Any], columns: Mapping[str, str]) -> str | None:
    """The name of the row's shape, or None. `columns` (our name -> the file's) has precedence."""
    mapped_first = sorted(SHAPES, key=lambda shape: not set(SHAPES[shape].columns) & set(columns))
    return next((s for s in mapped_first if all(columns.get(name, name) in row for name in SHAPES[s].columns)), None)


def used_columns(shape: str, columns: Mapping[str, str]) -> dict[str, str]:
    """The columns that a row of this shape may have: our name -> the file's. Each is used once."""
    mapped = set(columns.values())
    optional = [name for name in (*SHAPES[shape].optional, *ANY_SHAPE) if name in columns or name not in mapped]
    return {name: columns.get(name, name) for name in (*SHAPES[shape].columns, *optional)}
