"""The user's seed files: system prompts, tools and example instructions."""

import json
from typing import Any

from holdfast.common.data_files import read_records
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
    try:
        found = json.loads(_read(path))
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error})") from error
    if not isinstance(found, list) or not all(isinstance(tool, dict) for tool in found):
        raise UserError(f"{path}: expected a list of tool schemas")
    return found


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; the file is named in params.yaml") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error.reason} at byte {error.start}); convert it") from error


def _rows(path: str, keys: set[str]) -> list[tuple[str, dict[str, Any]]]:
    """(file and line, object) of each line of a JSONL file."""
    rows = []
    for record in read_records(path, "jsonl"):
        where = f"{path} {record.place}"
        if record.value is None:
            raise UserError(f"{where}: {record.fault}")
        if set(record.value) - keys:
            found = ", ".join(record.value)
            raise UserError(f"{where}: expected an object with {' and '.join(sorted(keys))}, found the keys {found}")
        rows.append((where, record.value))
    return rows
