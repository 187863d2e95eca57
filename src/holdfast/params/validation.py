"""params.yaml checked as a whole: every fault at once, before anything runs."""

import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from holdfast.common import section
from holdfast.common.errors import UserError
from holdfast.params.cross_checks import cross_faults, nearest, setting_faults
from holdfast.params.file_checks import file_faults
from holdfast.params.renamed import new_name
from holdfast.params.schema import Params
from holdfast.params.yaml_versions import yaml_faults


def validate(path: str = section.PARAMS_FILE) -> Params:
    """The checked parameters. Raises UserError with one line per fault: key path, what was found, what was expected."""
    values = section.load(path)
    faults = list(yaml_faults(Path(path), values))
    try:
        params = Params.model_validate(values)
    except ValidationError as error:
        raise UserError("\n".join([*faults, *explain(error, path)])) from error
    faults += [f"{path}: {fault}" for fault in [*cross_faults(params), *setting_faults(params), *file_faults(params)]]
    if faults:
        raise UserError("\n".join(faults))
    return params


def explain(error: ValidationError, path: str) -> Iterator[str]:
    """One line per fault, with the new name of a renamed key and the nearest valid one for an unknown key."""
    for fault in error.errors():
        key = ".".join(map(str, fault["loc"]))
        if fault["type"] == "extra_forbidden":
            if (renamed := new_name(key)) is not None:
                yield f"{path}: {key}: is now called {renamed}"
            else:
                yield f"{path}: {key}: no such key{nearest(str(fault['loc'][-1]), siblings(fault['loc']))}"
        elif fault["type"] == "missing":
            yield f"{path}: {key}: is missing; add it"
        else:
            message = fault["msg"].removeprefix("Value error, ")
            yield f"{path}: {key}: {message[0].lower()}{message[1:]} (found {reprlib.repr(fault['input'])})"


def siblings(location: tuple[int | str, ...]) -> list[str]:
    """The keys that exist where the last part of `location` stands, by the JSON schema of `Params`."""
    schema = TypeAdapter(Params).json_schema()
    node: dict[str, Any] = schema
    for part in location[:-1]:
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
