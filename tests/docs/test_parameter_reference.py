"""docs/parameters.md and docs/params.schema.json are current, and the schema accepts what Holdfast accepts."""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml

import parameter_reference as reference
from example_params import bare, full
from toy_project import ROOT

VALIDATOR = jsonschema.Draft202012Validator(reference.json_schema())
SHIPPED = yaml.safe_load((ROOT / "params.yaml").read_text())


def faults(values: Any) -> list[str]:
    return [f"{'.'.join(map(str, error.path))}: {error.message}" for error in VALIDATOR.iter_errors(values)]


def test_both_files_are_current() -> None:
    for path, content in reference.current().items():
        assert path.read_text(encoding="utf-8") == content, f"run `{reference.COMMAND}` and commit {path.name}"


def test_every_key_has_a_meaning() -> None:
    for row in re.findall(r"^\| `.*$", reference.PAGE.read_text(encoding="utf-8"), re.MULTILINE):
        assert re.split(r"(?<!\\)\|", row)[4].strip(), row


@pytest.mark.parametrize("file", ["params.yaml", "examples/paper.yaml"])
def test_the_first_line_of_a_params_file_names_the_schema(file: str) -> None:
    line = (ROOT / file).read_text().splitlines()[0]
    found = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", line)
    assert found, line
    assert ROOT / found[1] == reference.SCHEMA_FILE  # the example is to be copied to params.yaml
    assert faults(yaml.safe_load((ROOT / file).read_text())) == []


@pytest.mark.parametrize("make", [full, bare])
def test_the_schema_accepts_every_key_and_none_of_the_optional_ones(make: Any) -> None:
    assert faults(make()) == []


FREE = ("engine_args", "template", "axolotl", "resources")  # mappings that are passed on as they are
NAMED = ("models", "judges", "filter", "sources", "arms", "slices", "suites", "columns", "merge")  # mappings of names


def sections(values: Any, key: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where `values` has a mapping whose keys the schema knows."""
    if isinstance(values, dict) and not (key and key[-1] in FREE):
        if key[:1] + key[2:] == ("arms", "train"):  # any part of `train`, checked when the file is read
            return
        if not (key and key[-1] in NAMED):
            yield key
        for name, inner in values.items():
            yield from sections(inner, (*key, name))


def test_the_schema_refuses_an_unknown_key_in_every_section() -> None:
    values = full()
    found = list(sections(values))
    assert len(found) > 40
    for key in found:
        inner = values
        for part in key:
            inner = inner[part]
        inner["no_such_key"] = 1
        assert faults(values), key
        del inner["no_such_key"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("random_seed", -1),
        ("random_seed", "0"),
        ("train.learning_rate", "2e-4"),  # what YAML 1.1 makes of it
        ("generate.sampling.temperature", 9),
        ("models.base.engine", "vlm"),
        ("models.My Model", {"path": "x"}),
        ("evaluate.suites.general.kind", "exactly"),
        ("report.gated", "rehearsed"),
        ("mix", None),
    ],
)
def test_the_schema_refuses_what_holdfast_refuses(key: str, value: Any) -> None:
    values = copy.deepcopy(SHIPPED)
    *parts, last = key.split(".")
    inner = values
    for part in parts:
        inner = inner[part]
    inner[last] = value
    assert faults(values)


def test_the_schema_file_is_json_that_editors_read() -> None:
    schema = json.loads(reference.SCHEMA_FILE.read_text(encoding="utf-8"))
    jsonschema.Draft7Validator(schema).validate(SHIPPED)  # the version that YAML language servers support best
    assert schema["properties"]["arms"]["description"]
