"""The parameters that stages declare: their keys, their values in files, and how these changed."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from holdfast.build.dvc_lock import Yaml12
from holdfast.build.stages import Stage
from holdfast.common import section


def params_of(stage: Stage) -> dict[str, list[str]]:
    """The declared keys by parameter file; a list of none stands for the whole file."""
    found: dict[str, list[str]] = {}
    for entry in stage.get("params", ()):
        for path, keys in entry.items() if isinstance(entry, dict) else [(section.PARAMS_FILE, [entry])]:
            found.setdefault(path, []).extend(keys)
    return found


def values_of(stage: Stage, texts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The values of the stage's declared keys in parsed parameter files, by file and key."""
    values: dict[str, dict[str, Any]] = {}
    for path, keys in params_of(stage).items():
        found = {key: section.look_up(texts[path], key) for key in keys}
        values[path] = {key: value for key, value in found.items() if value is not section.ABSENT}
    return values


def params_change(keys: Iterable[str], recorded: Mapping[str, Any] | None, values: Any) -> str | dict[str, str]:
    """How the keys of one file changed, or the whole file did; empty if they did not."""
    if values is None:
        return "deleted"
    if recorded is None:
        return "new"
    found = {}
    for key in keys:
        now = section.look_up(values, key)
        if now is section.ABSENT:
            found[key] = "deleted"
        elif key not in recorded or now != recorded[key]:
            found[key] = "modified" if key in recorded else "new"
    return found


def read_yaml(path: str) -> Any:
    """The values in a parameter file other than params.yaml; None where it is missing."""
    try:
        return parse(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


@lru_cache(maxsize=4)  # the main process of a build asks for every job, mostly about the same text
def parse(text: str) -> Any:
    """The values in the text of a parameter file; they are shared, and not to be changed."""
    return yaml.load(text, Yaml12) or {}


def load_once(path: str, fs: Any = None, **settings: Any) -> Any:
    """A loader for DVC that parses a YAML file again only where its text has changed.

    DVC reads params.yaml twice for every stage that it records, and its parser takes half a second for a thousand arms.
    """
    from dvc.utils.serialize._common import _load_data

    return _load_data(path, _parsed, fs, **settings)


@lru_cache(maxsize=4)
def _parsed(text: str, path: str) -> Any:
    from dvc.utils.serialize import parse_yaml

    return parse_yaml(text, path)
