"""Evaluation suites of the user's own: reading them, asking them, grading the answers."""

import json
import math
import re
import string
import unicodedata
from typing import Any, NamedTuple

import regex

from holdfast.common.errors import UserError
from holdfast.common.ids import row_id

Messages = tuple[tuple[str, str], ...]


LETTERS = string.ascii_uppercase


_ROLES = ("system", "user", "assistant", "tool")


_PATTERN_TIMEOUT_S = 2.0


_PUNCTUATION = regex.compile(r"(?!(?<!\w)-(?=\d))(?!(?<=\d)\.(?=\d))[\p{P}\p{S}]")


class Item(NamedTuple):
    """One question of a suite. `answers` are the right texts; for regex patterns, for multiple choice a choice."""

    item_id: str
    task: str
    messages: Messages
    answers: tuple[str, ...]
    choices: tuple[str, ...]


def load_items(path: str, suite: str, kind: str) -> list[Item]:
    """The items of a JSONL file in the order of their ids. Raises UserError naming file, line and fault."""
    items: dict[str, Item] = {}
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                item = _item(line, suite, kind, f"{path} line {number}")
                if item.item_id in items:
                    raise UserError(
                        f"{path} line {number}: item_id {item.item_id!r} occurs twice; give every item its own"
                    )
                items[item.item_id] = item
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; evaluate.suites.{suite}.path must name a JSONL file") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error.reason} at byte {error.start}); convert it") from error
    if not items:
        raise UserError(f"{path}: holds no items; evaluate.suites.{suite} measures nothing")
    return [items[item_id] for item_id in sorted(items)]


def _item(line: str, suite: str, kind: str, where: str) -> Item:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: not JSON ({error.msg} at column {error.colno})") from error
    if not isinstance(row, dict):
        raise UserError(f"{where}: expected an object with prompt and answer, found {type(row).__name__}")
    messages = _messages(row, where)
    choices = _texts(row.get("choices", []), f"{where}: choices") if kind == "multiple_choice" else ()
    answers: tuple[str, ...]
    if kind == "multiple_choice":
        if not 2 <= len(choices) <= len(LETTERS):
            raise UserError(f"{where}: expected 2 to {len(LETTERS)} choices, found {len(choices)}")
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
                raise UserError(f"{where}: answer is not a regular expression ({error})") from error
    item_id = row.get("item_id", row_id("item", suite, messages, answers))
    task = row.get("task", suite)
    for name, value in (("item_id", item_id), ("task", task)):
        if not isinstance(value, str | int) or value == "":
            raise UserError(f"{where}: {name} is {value!r}, expected a text")
    return Item(str(item_id), str(task), messages, answers, choices)


def _messages(row: dict[str, Any], where: str) -> Messages:
    if ("prompt" in row) == ("messages" in row):
        raise UserError(f"{where}: expected either prompt or messages, found {sorted(row)}")
    if "prompt" in row:
        if not isinstance(row["prompt"], str) or not row["prompt"].strip():
            raise UserError(f"{where}: prompt is {row['prompt']!r}, expected a text")
        return (("user", row["prompt"]),)
    turns = row["messages"]
    if not isinstance(turns, list) or not turns or not all(isinstance(turn, dict) for turn in turns):
        raise UserError(f"{where}: messages must be a list of {{role, content}}")
    for turn in turns:
        if turn.get("role") not in _ROLES or not isinstance(turn.get("content"), str):
            raise UserError(f"{where}: a message needs a role out of {', '.join(_ROLES)} and a content, found {turn}")
    if turns[-1]["role"] != "user":
        raise UserError(f"{where}: the last message must be the user's, found {turns[-1]['role']}")
    return tuple((turn["role"], turn["content"]) for turn in turns)


def _texts(values: Any, where: str) -> tuple[str, ...]:
    numbers = isinstance(values, list) and all(
        isinstance(v, str | int | float) and not isinstance(v, bool) for v in values
    )
    if not numbers:
        raise UserError(f"{where} is {values!r}, expected a text or a list of texts")
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
        f"{where}: answer is {answer!r}, expected 0 to {len(choices) - 1}, a letter, or the text of a choice"
    )


def question(item: Item) -> Messages:
    """What the model is shown: the item's messages; with lettered choices below the last one if it has any."""
    if not item.choices:
        return item.messages
    role, content = item.messages[-1]
    lettered = "\n".join(f"{letter}. {choice}" for letter, choice in zip(LETTERS, item.choices, strict=False))
    return (*item.messages[:-1], (role, f"{content}\n{lettered}\nAnswer with one letter."))


def chosen(item: Item, logprobs: list[float] | None, text: str) -> str:
    """The choice a model made: the likeliest letter, or the first letter standing alone in `text`; empty for none."""
    if logprobs is not None:
        return item.choices[max(range(len(item.choices)), key=logprobs.__getitem__)]
    found = re.search(rf"\b([{LETTERS[: len(item.choices)]}])\b", text)
    return item.choices[LETTERS.index(found[1])] if found else ""


def normalise(text: str) -> str:
    """`text` in lower case without punctuation, articles and extra space, after SQuAD's script (Rajpurkar et al. 2016).

    Other than there, a sign and a decimal point stay (-5 is not 5) and characters are unified by NFKC.
    """
    text = unicodedata.normalize("NFKC", text).replace("\N{MINUS SIGN}", "-").casefold()
    return " ".join(word for word in _PUNCTUATION.sub("", text).split() if word not in ("a", "an", "the"))


def grade(kind: str, item: Item, answer: str) -> bool:
    """Whether `answer` is right. `exact`: equal but for surrounding space. `regex`: the pattern is found in the answer.

    Raises UserError when a pattern takes longer than two seconds on an answer.
    """
    if kind == "normalised":
        return normalise(answer) in {normalise(right) for right in item.answers}
    if kind == "regex":
        try:
            return any(regex.search(pattern, answer, timeout=_PATTERN_TIMEOUT_S) for pattern in item.answers)
        except TimeoutError as error:
            raise UserError(
                f"item {item.item_id}: its pattern takes over {_PATTERN_TIMEOUT_S} s; simplify it"
            ) from error
    return answer.strip() in {right.strip() for right in item.answers}


def expected_score(logprobs: list[float] | None, least_mass: float = 0.5) -> float | None:
    """Mean of 1 to 5 under a judge's first-token log-probabilities; None when their mass is below `least_mass`."""
    if logprobs is None:
        return None
    masses = [math.exp(value) for value in logprobs]
    total = sum(masses)
    return sum(k * mass for k, mass in enumerate(masses, 1)) / total if total >= least_mass else None


def shown(messages: Messages) -> str:
    """A conversation as one text, for tables and the report: a lone turn as it is, else every turn under its role."""
    return messages[0][1] if len(messages) == 1 else "\n".join(f"{role}: {content}" for role, content in messages)
