"""The user's seed files: system prompts, tools and example instructions."""

from collections.abc import Iterator
from typing import Any

from holdfast.common.data_files import read_rows
from holdfast.common.errors import UserError


def system_prompts(path: str | None) -> dict[str | None, float]:
    """Weights by system prompt; None stands for no system message. Without a file there is none.

    The file is JSONL of {"system": string or null, "weight": number}. Raises UserError naming the line.
    """
    if path is None:
        return {None: 1.0}
    weights: dict[str | None, float] = {}
    for where, row in _rows(path, {"system", "weight"}):
        text, weight = row.get("system"), row.get("weight", 1)
        if text is not None and (not isinstance(text, str) or not text.strip()):
            raise UserError(f'{where}: "system" is {text!r}; give a system prompt, or null for none')
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < float("inf"):
            raise UserError(f'{where}: "weight" is {weight!r}; give a number above 0')
        weights[text] = weights.get(text, 0.0) + weight
    return weights


def examples(path: str) -> list[str]:
    """Distinct example instructions, sorted. JSONL of {"instruction": string}. Raises UserError naming the line."""
    found = set()
    for where, row in _rows(path, {"instruction"}):
        text = row.get("instruction")
        if not isinstance(text, str) or not text.strip():
            raise UserError(f'{where}: "instruction" is {text!r}; give a text')
        found.add(text.strip())
    return sorted(found)


def tools(path: str | None) -> list[dict[str, Any]] | None:
    """Tool schemas for the chat template: a JSON list of objects. Raises UserError."""
    if path is None:
        return None
    found = []
    for where, tool in read_rows(path, "json"):
        if not {"function", "name"} & set(tool):
            raise UserError(f'{where}: expected a list of tool schemas, found an object without "function" or "name"')
        found.append(tool)
    return found


def _rows(path: str, keys: set[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(file and line, object) of each line of a JSONL file."""
    for where, row in read_rows(path, "jsonl"):
        if set(row) - keys:
            found = ", ".join(row)
            raise UserError(f"{where}: expected an object with {' and '.join(sorted(keys))}, found the keys {found}")
        yield where, row
