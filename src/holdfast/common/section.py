"""One section of params.yaml: strict, described, and read only by the jobs that declare it.

A job reads parameters through `value`, `optional` and `read`, and gives each the keys that its rule declares after
`--params`. DVC watches exactly these keys. So a key that params.yaml has and the rule does not declare must not be
read: neither the file's value, on which the output would depend unseen, nor the default. It is an AssertionError.
"""

from collections.abc import Iterable, Iterator, Mapping
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
        assert name not in type(self).model_fields, _undeclared_key(f"{type(self).__name__}.{name}")
        return super().__getattr__(name)  # type: ignore[misc]

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """As pydantic's. AssertionError if the section, or one in it, lacks keys that the job does not declare."""
        _assert_whole(self)
        return super().model_dump(**options)


class PartialMapping(dict[str, Any]):
    """The declared entries of a mapping. Reading another entry, or all entries, is an AssertionError."""

    def __init__(self, declared: Mapping[str, Any], undeclared: Iterable[str]) -> None:
        super().__init__(declared)
        self.undeclared = frozenset(undeclared)

    def __missing__(self, key: str) -> Any:
        assert key not in self.undeclared, _undeclared_key(key)
        raise KeyError(key)

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if key in self else default  # noqa: SIM401

    def __contains__(self, key: object) -> bool:
        assert key not in self.undeclared, _undeclared_key(str(key))
        return super().__contains__(key)

    def _refuse(self, *_: Any) -> Any:
        raise AssertionError(_undeclared_key(", ".join(sorted(self.undeclared))))

    __iter__ = __len__ = __or__ = __ror__ = __eq__ = __reversed__ = _refuse  # type: ignore[assignment]
    keys = items = values = copy = _refuse  # type: ignore[assignment]
    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        return True


S = TypeVar("S", bound=Section)


def load(path: str = PARAMS_FILE) -> dict[str, Any]:
    """Parse the parameter file. Raises UserError with the line when it is missing or not YAML."""
    try:
        with open(path, encoding="utf-8") as file:
            values = yaml.safe_load(file)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; run this in the project's root folder") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise UserError(
            f"{path}: {'is empty' if values is None else 'has no sections'}; expected sections such as `models:` with"
            " indented keys"
        )
    return values


def look_up(values: Any, key: str) -> Any:
    """The value at the dotted `key`, or ABSENT."""
    for part in key.split("."):
        if not isinstance(values, dict) or part not in values:
            return ABSENT
        values = values[part]
    return values


def value(declared: str, key: str, path: str = PARAMS_FILE) -> Any:
    """The raw value at the dotted `key`, or the part of it that the comma-separated `declared` keys cover.

    With `score.method,score.judges.base` declared, `score` is a PartialMapping of these two.
    Raises UserError when params.yaml lacks the key, AssertionError when nothing of it is declared.
    """
    found = optional(declared, key, ABSENT, path)
    if found is ABSENT:
        raise UserError(f"{path}: {key} is missing; add it")
    return found


def optional(declared: str, key: str, default: Any = None, path: str = PARAMS_FILE) -> Any:
    """As `value`, but `default` where params.yaml does not have the key."""
    found = _declared_part(declared, key, load(path))
    assert not isinstance(found, PartialMapping) or dict.__len__(found), _undeclared_key(key)
    return default if found is ABSENT else found


def undeclared_value(key: str, default: Any = None, path: str = PARAMS_FILE) -> Any:
    """The value of a key that no rule has to declare, because it cannot change a byte of any output."""
    found = look_up(load(path), key)
    return default if found is ABSENT else found


def read(declared: str, key: str, section: type[S], path: str = PARAMS_FILE) -> S:
    """The validated section at `key`; its defaults where params.yaml does not have it.

    Keys that params.yaml has and the job does not declare cannot be read. Raises UserError naming the key's path, what
    was found and what was expected.
    """
    values = load(path)
    known = _declared_part(declared, key, values)
    try:
        found = section.model_validate({} if known is ABSENT else look_up(values, key))
    except ValidationError as error:
        raise UserError(explain(error, path, key)) from error
    return _without_undeclared(found, known)  # type: ignore[no-any-return]


def _declared_part(declared: str, key: str, values: Any) -> Any:
    """What params.yaml has at `key`, or ABSENT; a PartialMapping of what is declared, if that is not all."""
    found, keys = look_up(values, key), declared.split(",")
    if found is ABSENT or any(key == d or key.startswith(d + ".") for d in keys):
        return found
    assert isinstance(found, dict), _undeclared_key(key)
    below = [d for d in keys if d.startswith(key + ".")]
    names = {name: f"{key}.{name}" for name in found if isinstance(name, str)}
    part = {name: _declared_part(declared, inner, values) for name, inner in names.items() if _touched(inner, below)}
    undeclared = [name for name in found if name not in part]
    return PartialMapping(part, undeclared) if undeclared else part


def _touched(key: str, declared: list[str]) -> bool:
    return any(key == d or key.startswith(d + ".") or d.startswith(key + ".") for d in declared)


def _without_undeclared(found: Any, known: Any) -> Any:
    """`found`, validated from all of params.yaml, less what `known`, the declared part, leaves out."""
    if not isinstance(known, dict) or not isinstance(found, Section | dict):
        return found
    entries = found.__dict__ if isinstance(found, Section) else found
    part = {name: _without_undeclared(entries[name], inner) for name, inner in dict.items(known) if name in entries}
    undeclared = known.undeclared if isinstance(known, PartialMapping) else frozenset()
    if isinstance(found, dict):
        return PartialMapping(part, undeclared) if undeclared else part
    entries.update(part)
    for name in undeclared & entries.keys():
        del entries[name]
    return found


def _assert_whole(found: Any) -> None:
    if isinstance(found, Section):
        for name in type(found).model_fields:
            _assert_whole(getattr(found, name))
    elif isinstance(found, dict):
        for inner in found.values():
            _assert_whole(inner)


def _undeclared_key(key: str) -> str:
    return f"{key} is read, but the job's rule does not declare it after --params"


def explain(error: ValidationError, path: str, key: str = "") -> str:
    """One line per fault: the key's path, the fault, and what was found."""
    return "\n".join(_explain_each(error, path, key))


def _explain_each(error: ValidationError, path: str, key: str) -> Iterator[str]:
    for fault in error.errors():
        where = ".".join([key, *map(str, fault["loc"])]).strip(".")
        yield f"{path}: {where}: {fault['msg']} (found {fault['input']!r:.80})"
