"""One section of params.yaml: strict, described, and read only by the jobs that declare it."""

from collections.abc import Iterator
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from holdfast.common.errors import UserError

PARAMS_FILE = "params.yaml"
ABSENT = object()


class Section(BaseModel):
    """Base of every parameter section: unknown keys are errors, numbers are not guessed from strings."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, protected_namespaces=())

    def __getattr__(self, name: str) -> Any:
        # pydantic finds fields without coming here; `read` has taken out those that the job does not declare
        assert name not in type(self).model_fields, (
            f"{type(self).__name__}.{name} is read, but the job's rule does not declare it after --params"
        )
        return super().__getattr__(name)  # type: ignore[misc]


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


def look_up(values: Any, key: str) -> Any:
    """The value at the dotted `key`, or ABSENT."""
    for part in key.split("."):
        if not isinstance(values, dict) or part not in values:
            return ABSENT
        values = values[part]
    return values


def value(declared: str, key: str, path: str = PARAMS_FILE) -> Any:
    """The raw value at the dotted `key`, or as much of it as the comma-separated `declared` keys cover.

    With `score.method,score.judges.base` declared, `score` is a section of these two alone.
    """
    keys = declared.split(",")
    if not any(key == d or key.startswith(d + ".") for d in keys):
        below = {d[len(key) + 1 :].split(".")[0] for d in keys if d.startswith(key + ".")}
        assert below, f"{key} is not among --params {declared}"
        return {name: value(declared, f"{key}.{name}", path) for name in below}
    found = look_up(load(path), key)
    if found is ABSENT:
        raise UserError(f"{path}: {key} is missing; add it")
    return found


def read(declared: str, key: str, section: type[S], path: str = PARAMS_FILE) -> S:
    """The validated section at `key`. Raises UserError naming the key's path, what was found and what was expected.

    Of a section that is declared in part, a key that params.yaml has and `declared` does not name cannot be read: it is
    neither the file's value, which would make the job's result depend on it unseen, nor the default.
    """
    known = value(declared, key, path) or {}
    try:
        found = section.model_validate(known)
    except ValidationError as error:
        raise UserError(explain(error, path, key)) from error
    for place in _undeclared(look_up(load(path), key), known):
        _take_out(found, place)
    return found


def _undeclared(all_values: Any, known: Any) -> Iterator[tuple[str, ...]]:
    """The places of keys that are in `all_values` but not in `known`."""
    if isinstance(all_values, dict) and isinstance(known, dict):
        for name, inner in all_values.items():
            if name not in known:
                yield (name,)
            else:
                yield from ((name, *place) for place in _undeclared(inner, known[name]))


def _take_out(section: Any, place: tuple[str, ...]) -> None:
    for name in place[:-1]:
        section = section[name] if isinstance(section, dict) else getattr(section, name)
    if isinstance(section, Section):
        section.__dict__.pop(place[-1], None)


def explain(error: ValidationError, path: str, key: str = "") -> str:
    """One line per fault: the key's path, the fault, and what was found."""
    return "\n".join(
        f"{path}: {'.'.join([key, *map(str, e['loc'])]).strip('.')}: {e['msg']} (found {e['input']!r})"
        for e in error.errors()
    )
