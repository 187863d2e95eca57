"""A mapping of columns for rows of no known shape, for the error message."""

from collections.abc import Iterable, Mapping
from typing import Any

from holdfast.steps.mix.shapes import SHAPES

# names that others give to our columns, the least ambiguous first
_ASKED = (
    *("instruction", "question", "prompt", "query", "problem", "task", "request", "human", "user", "input", "inputs"),
    *("q", "subject", "message_1"),
)
_ANSWERED = (
    *("output", "answer", "completion", "response", "chosen", "chosen_response", "reply", "generation", "solution"),
    *("target", "targets", "assistant", "gpt", "bot", "outputs", "a", "message_2"),
)
_GIVEN = ("input", "context", "article", "passage", "document")
_SYSTEM = ("system", "system_prompt", "system_message")
_CONVERSATION = ("messages", "conversations", "conversation", "dialog", "dialogue", "chat", "turns", "chosen")
_OTHER = {
    ("input_ids",): "these are token ids; give the texts that they were made of",
    ("segments",): "these are segments of Axolotl's `input_output`; give the turns in `messages`",
    ("completions", "labels"): "these are labelled steps (stepwise supervision); give whole answers",
    ("text",): "a column of plain text has no answer to learn; give conversations",
}


def suggestion(row: Mapping[str, Any], source: str) -> str:
    """What to do with a row of no known shape: set `columns` so that all texts are used, or what else the data is."""
    files = {name.lower(): name for name in reversed(list(row))}
    if mapping := _of_conversation(row, files) or _of_texts(files):
        mapping |= {"system": system} if (system := _first(files, _SYSTEM)) else {}
        named = ", ".join(f"{our_names}: {theirs}" for our_names, theirs in mapping.items() if our_names != theirs)
        return f"set sources.{source}.columns to {{{named}}}"
    found = (advice for names, advice in _OTHER.items() if set(names) <= set(files))
    return next(found, f"name yours in sources.{source}.columns, for example {{question: …, answer: …}}")


def _first(files: Mapping[str, str], names: Iterable[str]) -> str | None:
    return next((files[name] for name in names if name in files), None)


def _of_conversation(row: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, str]:
    for name in (files[name] for name in _CONVERSATION if name in files):
        turns = row[name]
        first = turns[0] if isinstance(turns, list) and turns and isinstance(turns[0], dict) else {}
        if first.get("from") or first.get("role") not in (None, "assistant"):  # an assistant's turn only answers
            return {"conversations" if "from" in first else "messages": name}
    return {}


def _of_texts(files: Mapping[str, str]) -> dict[str, str]:
    asked, answered = _first(files, _ASKED), _first(files, _ANSWERED)
    if asked is None or answered is None:
        return {}
    given = _first(files, [name for name in _GIVEN if files.get(name) != asked])
    pairs = [*(SHAPES[name].columns for name in ("question_answer", "prompt_completion", "alpaca"))]
    our_names = SHAPES["alpaca"].columns if given else max(pairs, key=lambda pair: len({asked, answered} & set(pair)))
    return {our_names[0]: asked, **({"input": given} if given else {}), our_names[1]: answered}
