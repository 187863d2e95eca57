"""A params.yaml in which every optional key has another value than its default."""

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from holdfast.common.section import Section

LEFT_OUT = object()  # given for a key that excludes another one


def filled(section: type[Section], given: dict[str, Any]) -> dict[str, Any]:
    """`given`, with every other optional key of the section (and of the sections in it) away from its default."""
    found = {name: value for name, value in given.items() if value is not LEFT_OUT}
    for name, field in section.model_fields.items():
        if given.get(name) is LEFT_OUT:
            continue
        inner = _section(field.annotation)
        if name in given:
            if inner is not None and isinstance(given[name], dict):
                found[name] = _filled_value(field.annotation, given[name])
        elif inner is not None and get_origin(field.annotation) is not dict:
            found[name] = filled(inner, {})
        elif not field.is_required() and (value := _other(field)) is not None:
            found[name] = value
    return found


def missing(section: type[Section], values: dict[str, Any], where: str = "") -> list[str]:
    """Optional keys that `values` does not have, or has at their defaults."""
    found = []
    for name, field in section.model_fields.items():
        inner = _section(field.annotation)
        default = field.get_default(call_default_factory=True)
        if name not in values or (not field.is_required() and values[name] == default):
            found.append(f"{where}{name}")
        elif inner is not None and isinstance(values[name], dict):
            many = get_origin(field.annotation) is dict
            parts = values[name].items() if many else [("", values[name])]
            for key, part in parts:
                found += missing(_kind(inner, part, field.annotation), part, f"{where}{name}.{key}{'.' if key else ''}")
    return found


def _filled_value(annotation: Any, given: dict[str, Any]) -> dict[str, Any]:
    inner = _section(annotation)
    assert inner is not None
    if get_origin(annotation) is dict:
        return {key: filled(_kind(inner, part, annotation), part) for key, part in given.items()}
    return filled(inner, given)


def _kind(inner: type[Section], part: dict[str, Any], annotation: Any) -> type[Section]:
    """Of a union, the section that `part` is of: by its `kind`, or the one that has its keys."""
    options = [option for option in _sections(annotation) if _has_kind(option, part.get("kind"))]
    options = options or [option for option in _sections(annotation) if part and set(part) <= set(option.model_fields)]
    return options[0] if options else inner


def _has_kind(option: type[Section], kind: Any) -> bool:
    field = option.model_fields.get("kind")
    return field is not None and kind in get_args(field.annotation)


def _sections(annotation: Any) -> list[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    parts = get_args(annotation) if get_origin(annotation) in (dict, Union, types.UnionType, Annotated) else ()
    return [section for part in parts for section in _sections(part)]


def _section(annotation: Any) -> type[Section] | None:
    return next(iter(_sections(annotation)), None)


def _other(field: FieldInfo) -> Any:
    """A valid value that is not the default; None where the annotation does not tell one."""
    default = None if field.default is PydanticUndefined else field.default
    known = TypeAdapter(Annotated[(field.annotation, None, *field.metadata)])  # type: ignore[misc]
    choices = [choice for part in (field.annotation, *get_args(field.annotation)) for choice in _literals(part)]
    numbers: list[Any] = []
    if isinstance(default, int | float) and not isinstance(default, bool):
        numbers = [default + 1, default - 1, default * 0.5, (default + 1) / 2, default * 2]
    for candidate in (
        *choices,
        *numbers,
        *([not default] if isinstance(default, bool) else []),
        3,
        0.25,
        "x",
        "EUR",
        ["x"],
    ):
        try:
            known.validate_python(candidate, strict=True)
        except ValidationError:
            continue
        if candidate != default:
            return candidate
    return None


def _literals(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) is Literal else ()
