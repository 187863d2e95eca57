"""Item suites: reading the file, the messages to the model, and grading its answers."""

import re
import string
import unicodedata
from pathlib import Path
from typing import Any, NamedTuple

import regex

from holdfast.common.data_files import read_rows
from holdfast.common.errors import UserError
from holdfast.common.ids import row_id

Messages = tuple[tuple[str, str], ...]
LETTERS = string.ascii_uppercase
_ROLES = ("system", "user", "assistant", "tool")
_PATTERN_TIMEOUT_S = 2.0
_PUNCTUATION = regex.compile(r"(?!(?<!\w)-(?=\d))(?!(?<=\d)\.(?=\d))[\p{P}\p{S}]")


class Item(NamedTuple):
    """One question of a suite. `answers`: the right texts (kind regex: patterns; multiple_choice: one of `choices`)."""

    item_id: str
    task: str
    cluster: str | None  # items of one passage or document share it
    messages: Messages
    answers: tuple[str, ...]
    choices: tuple[str, ...]


def load_items(path: str, suite: str, kind: str) -> list[Item]:
    """The items of a suite file, in the order of their ids. Raises UserError naming file, row and fault."""
    items: dict[str, Item] = {}
    if not Path(path).exists():
        raise UserError(f"{path}: does not exist; evaluate.suites.{suite}.path must name a file of items")
    for where, row in read_rows(path):
        item = _item({key: found for key, found in row.items() if found is not None}, suite, kind, where)
        if item.item_id in items:
            raise UserError(f"{where}: item_id {item.item_id!r} occurs twice; give every item its own id")
        items[item.item_id] = item
    return [items[item_id] for item_id in sorted(items)]


def _item(row: dict[str, Any], suite: str, kind: str, where: str) -> Item:
    messages = _messages(row, where)
    choices = _texts(row.get("choices", []), f"{where}: choices") if kind == "multiple_choice" else ()
    answers: tuple[str, ...]
    if kind == "multiple_choice":
        if not 2 <= len(choices) <= len(LETTERS):
            raise UserError(f"{where}: 2 to {len(LETTERS)} choices are expected, found {len(choices)}")
        answers = (choices[_choice(row.get("answer"), choices, where)],)
    else:
        found = row.get("answer", [] if kind == "judge" else None)
        answers = _texts(found if isinstance(found, list) else [found], f"{where}: answer")
        if not answers and kind != "judge":
            raise UserError(f"{where}: answer is an empty list; give at least one right answer")
    if kind == "regex":
        for pattern in answers:
            try:
                regex.compile(pattern)
            except regex.error as error:
                raise UserError(f"{where}: answer is not a regular expression: {error}") from error
    item_id = row.get("item_id", row_id("item", suite, messages, answers))
    task, cluster = row.get("task", suite), row.get("cluster")
    for name, value in (("item_id", item_id), ("task", task), ("cluster", cluster)):
        if (not isinstance(value, str | int) or value == "") and (name, value) != ("cluster", None):
            raise UserError(f"{where}: {name} is {value!r}; a text or a whole number is expected")
    return Item(str(item_id), str(task), None if cluster is None else str(cluster), messages, answers, choices)


def _messages(row: dict[str, Any], where: str) -> Messages:
    if ("prompt" in row) == ("messages" in row):
        raise UserError(f"{where}: either prompt or messages is expected, found {', '.join(sorted(row)) or 'neither'}")
    if "prompt" in row:
        if not isinstance(row["prompt"], str) or not row["prompt"].strip():
            raise UserError(f"{where}: prompt is {row['prompt']!r}; a text is expected")
        return (("user", row["prompt"]),)
    turns = row["messages"]
    if not isinstance(turns, list) or not turns or not all(isinstance(turn, dict) for turn in turns):
        raise UserError(f"{where}: messages is {turns!r:.80}; a list of objects with role and content is expected")
    for turn in turns:
        if turn.get("role") not in _ROLES or not isinstance(turn.get("content"), str):
            raise UserError(
                f"{where}: a message needs a role ({', '.join(_ROLES)}) and a content that is text, found {turn}"
            )
    if turns[-1]["role"] != "user":
        raise UserError(f"{where}: the last message must have the role user, found {turns[-1]['role']}")
    return tuple((turn["role"], turn["content"]) for turn in turns)


def _texts(values: Any, where: str) -> tuple[str, ...]:
    numbers = isinstance(values, list) and all(
        isinstance(v, str | int | float) and not isinstance(v, bool) for v in values
    )
    if not numbers:
        raise UserError(f"{where} is {values!r}; a text or a list of texts is expected")
    return tuple(str(value) for value in values)


def _choice(answer: Any, choices: tuple[str, ...], where: str) -> int:
    """The index that `answer` names: a 0-based number, a choice's own text, or its letter."""
    if isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(choices):
        return answer
    if isinstance(answer, str) and answer in choices:
        return choices.index(answer)
    if isinstance(answer, str) and len(answer) == 1 and answer in LETTERS[: len(choices)]:
        return LETTERS.index(answer)
    raise UserError(
        f"{where}: answer is {answer!r}; 0 to {len(choices) - 1}, a letter, or the text of a choice is expected"
    )


def question(item: Item) -> Messages:
    """The item's messages as the model gets them; choices follow the last message, one lettered line each."""
    if not item.choices:
        return item.messages
    role, content = item.messages[-1]
    lettered = "\n".join(f"{letter}. {choice}" for letter, choice in zip(LETTERS, item.choices, strict=False))
    return (*item.messages[:-1], (role, f"{content}\n{lettered}\nAnswer with one letter."))


def chosen_answer(item: Item, logprobs: list[float] | None, text: str) -> str:
    """The choice of the likeliest letter by `logprobs`, else of the first lone letter in `text`; empty if none."""
    if logprobs is not None:
        return item.choices[max(range(len(item.choices)), key=logprobs.__getitem__)]
    found = re.search(rf"\b([{LETTERS[: len(item.choices)]}])\b", text)
    return item.choices[LETTERS.index(found[1])] if found else ""


def normalise(text: str) -> str:
    """`text` in lower case without punctuation, articles and extra space, after SQuAD's script (Rajpurkar et al. 2016).

    Other than there, a sign and a decimal point stay (-5 is not 5), so does a text of articles only (the letter A), and
    characters are unified by NFKC. It is done until nothing changes: without a comma between them, a letter and an
    accent become one character, which the same answer may have had from the start.
    """
    while (once := _normalised_once(text)) != text:
        text = once
    return text


def _normalised_once(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).replace("\N{MINUS SIGN}", "-").casefold()
    words = _PUNCTUATION.sub("", text).split()
    return " ".join([word for word in words if word not in ("a", "an", "the")] or words)


def grade(kind: str, item: Item, answer: str) -> bool:
    """Whether `answer` is right, by the suite's `kind`: equal but for white space around it (exact, multiple_choice),
    equal after `normalise` (normalised), or matched by a pattern (regex).

    Raises UserError when a pattern takes longer than two seconds on an answer.
    """
    if kind == "normalised":
        return normalise(answer) in {normalise(right) for right in item.answers}
    if kind == "regex":
        try:
            return any(regex.search(pattern, answer, timeout=_PATTERN_TIMEOUT_S) for pattern in item.answers)
        except TimeoutError as error:
            raise UserError(
                f"item {item.item_id}: its pattern takes more than {_PATTERN_TIMEOUT_S:g} s on an answer; simplify it"
            ) from error
    return answer.strip() in {right.strip() for right in item.answers}


def as_text(messages: Messages) -> str:
    """A conversation as one text for tables and the report: one turn as it is, several with their roles."""
    return messages[0][1] if len(messages) == 1 else "\n".join(f"{role}: {content}" for role, content in messages)
