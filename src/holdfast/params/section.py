"""One section of params.yaml: strict, described, and read only by the jobs that declare it."""

from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from holdfast.errors import UserError

PARAMS_FILE = "params.yaml"


class Section(BaseModel):
    """Base of every parameter section: unknown keys are errors, numbers are not guessed from strings."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, protected_namespaces=())


S = TypeVar("S", bound=Section)


def load(path: str = PARAMS_FILE) -> dict[str, Any]:
    """Parse the parameter file. Raises UserError with the line when it is missing or not YAML."""
    try:
        with open(path, encoding="utf-8") as file:
            values = yaml.safe_load(file)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; run from the project's root") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected sections, found {type(values).__name__}")
    return values


def value(declared: str, key: str, path: str = PARAMS_FILE) -> Any:
    """The raw value at the dotted `key`, or as much of it as the comma-separated `declared` keys cover.

    With `score.reading,score.judges.base` declared, `score` is a section of these two alone.
    """
    keys = declared.split(",")
    if not any(key == d or key.startswith(d + ".") for d in keys):
        below = {d[len(key) + 1 :].split(".")[0] for d in keys if d.startswith(key + ".")}
        assert below, f"{key} is not among --params {declared}"
        return {name: value(declared, f"{key}.{name}", path) for name in below}
    node: Any = load(path)
    for part in key.split("."):
        if not isinstance(node, dict) or part not in node:
            raise UserError(f"{path}: {key} is missing; add it")
        node = node[part]
    return node


def read(declared: str, key: str, section: type[S], path: str = PARAMS_FILE) -> S:
    """The validated section at `key`. Raises UserError naming the key's path, what was found and what was expected."""
    try:
        return section.model_validate(value(declared, key, path) or {})
    except ValidationError as error:
        raise UserError(explain(error, path, key)) from error


def explain(error: ValidationError, path: str, key: str = "") -> str:
    """One line per fault: the key's path, the fault, what was found, and for an unknown key the nearest valid one."""
    return "\n".join(
        f"{path}: {'.'.join([key, *map(str, e['loc'])]).strip('.')}: {e['msg']} (found {e['input']!r})"
        for e in error.errors()
    )
