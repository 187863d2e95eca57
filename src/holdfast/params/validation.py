"""params.yaml checked as a whole: every fault at once, before anything runs."""

import reprlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from holdfast.common import section
from holdfast.common.errors import UserError
from holdfast.params.cross_checks import cross_faults, setting_faults
from holdfast.params.file_checks import file_faults
from holdfast.params.names import nearest
from holdfast.params.renamed import new_name
from holdfast.params.schema import KINDS_OF_ARMS, Params
from holdfast.params.sweep_checks import place, sweep_faults
from holdfast.params.sweeps import swept, with_sweeps
from holdfast.params.yaml_versions import yaml_faults
from holdfast.steps.train.params import Train


def validate(path: str = section.PARAMS_FILE) -> Params:
    """The checked parameters. Raises UserError with one line per fault: key path, what was found, what was expected."""
    written = section.load(path)
    faults = dict(yaml_faults(Path(path), written))
    values, of_sweeps = with_sweeps(written), swept(written)
    try:
        params = Params.model_validate(values)
    except ValidationError as error:
        faults |= {key: fault for key, fault in explain(error.errors(), values) if key not in faults}
        found = [place(f"{key}: {fault}", of_sweeps) for key, fault in faults.items()]
        raise UserError("\n".join(f"{path}: {fault}" for fault in dict.fromkeys(found))) from error
    faults |= dict(sweep_faults(written)) | dict(arm_faults(params))
    found = [f"{key}: {fault}" for key, fault in faults.items()]
    found += [*cross_faults(params), *setting_faults(params), *file_faults(params)]
    if found:
        raise UserError("\n".join(f"{path}: {place(fault, of_sweeps)}" for fault in found))
    return params


def arm_faults(params: Params) -> Iterator[tuple[str, str]]:
    """(key, fault) of each fault in an arm's own training settings: `train` as it holds for the arm is checked."""
    for name in (*params.trained_arms, *params.aligned_arms):
        settings = params.training_settings(name)
        try:
            Train.model_validate(settings)
        except ValidationError as error:
            inside = [fault | {"loc": ("train", *fault["loc"])} for fault in error.errors()]
            for key, fault in explain(inside, {"train": settings}):
                yield f"arms.{name}.{key}", fault


def explain(errors: Iterable[ErrorDetails], values: Any) -> Iterator[tuple[str, str]]:
    """(key, fault) of each fault, with the new name of a renamed key and the nearest valid one for an unknown key."""
    for fault in errors:
        key = dotted(fault["loc"], values)
        if fault["type"] == "extra_forbidden":
            if (renamed := new_name(key)) is not None:
                yield key, f"is now called {renamed}"
            else:
                yield key, f"no such key{nearest(str(fault['loc'][-1]), siblings(fault['loc']))}"
        elif fault["type"] == "missing":
            yield key, "is missing; add it"
        elif fault["loc"][-1] == "[key]":
            yield key, f"is not a valid name: it must match {fault['ctx']['pattern']}; rename it"
        elif fault["type"] == "value_error":
            yield key, fault["msg"].removeprefix("Value error, ")
        else:
            yield key, f"{expected(fault)} (found {found(fault.get('ctx', {}).get('tag', fault['input']))})"


EXPECTED = {  # type of pydantic's error: what is expected; names in braces are of the error's context
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be below {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "literal_error": "must be {expected}",
    "union_tag_invalid": "kind must be one of {expected_tags}",
    "union_tag_not_found": "kind is missing; add it",
    "too_short": "must have at least {min_length} entry",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "must match {pattern}",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "list_type": "must be a list",
    "dict_type": "must be a section with keys of its own",
    "model_type": "must be a section with keys of its own",
    "model_attributes_type": "must be a section with keys of its own",
}


def expected(fault: ErrorDetails) -> str:
    """What a value must be, in the words of `EXPECTED`, else pydantic's."""
    words = EXPECTED.get(fault["type"])
    return words.format(**fault.get("ctx", {})) if words else fault["msg"]


def found(value: Any) -> str:
    """A value as it is written in params.yaml; of a section or list only what it is."""
    if isinstance(value, dict | list):
        kind = "a section" if isinstance(value, dict) else "a list"
        return kind if value else f"{kind} without entries"
    return "null" if value is None else reprlib.repr(value)


def dotted(location: tuple[int | str, ...], values: Any) -> str:
    """The key of a fault, without what pydantic adds to its place, such as the kind of a suite."""
    parts: list[str] = []
    for number, part in enumerate(location):
        inside = (isinstance(values, dict) and part in values) or (isinstance(values, list) and isinstance(part, int))
        if inside:
            values = values[part]
        tag = part in ("[key]", *KINDS_OF_ARMS)
        if not tag and (inside or number == len(location) - 1):
            parts.append(str(part))
    return ".".join(parts)


def siblings(location: tuple[int | str, ...]) -> list[str]:
    """The keys that exist where the last part of `location` stands, by the JSON schema of `Params`."""
    schema = TypeAdapter(Params).json_schema()
    node: dict[str, Any] = schema
    for part in location[:-1]:
        if part in KINDS_OF_ARMS:
            node = resolve(node["oneOf"][KINDS_OF_ARMS.index(str(part))], schema)
            continue
        options = [resolve(option, schema) for option in node.get("anyOf", node.get("oneOf", [node]))]
        following = [option.get("properties", {}).get(part, option.get("additionalProperties")) for option in options]
        following += [value for option in options for value in option.get("patternProperties", {}).values()]
        found = [option for option in following if isinstance(option, dict)]
        node = resolve(found[0], schema) if found else node
    options = [resolve(option, schema) for option in node.get("anyOf", node.get("oneOf", [node]))]
    return sorted({key for option in options for key in option.get("properties", {})})


def resolve(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The definition that a JSON schema node refers to."""
    return schema["$defs"][node["$ref"].rsplit("/", 1)[1]] if "$ref" in node else node
