"""docs/parameters.md and docs/params.schema.json, written anew from the schema of params.yaml and the rules.

Run `envs/in-env dev python tests/support/parameter_reference.py` after a change of a parameter or of what a rule
declares after `--params`.
"""

import json
import os
import re
import tempfile
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from example_params import full, inputs
from holdfast.build.dvc_file import declared
from holdfast.build.jobs import Job, list_jobs
from holdfast.common.section import ABSENT, look_up
from holdfast.params.schema import Params
from holdfast.params.yaml_versions import plain
from rule_graph import jobs_with_every_rule
from toy_project import ROOT

PAGE, SCHEMA_FILE = ROOT / "docs/parameters.md", ROOT / "docs/params.schema.json"
COMMAND = "envs/in-env dev python tests/support/parameter_reference.py"
NAME = "<name>"  # one of the user's names in a key
INTRODUCTION = f"""# Parameters

Every key of `params.yaml`, generated from its schema by `{COMMAND}`.

- `{NAME}` stands for a name of your own: of a model, an arm, a source, a selection or a suite.
- **Default:** the value when the key is left out. A section has its own default where that differs from the defaults
  of its keys; it is used when the whole section is left out.
- **Makes stale:** the rules whose jobs run again when the key changes. A key below `{NAME}` affects only the jobs that
  use that name. Jobs downstream run again only if their input changes, and models are asked only for requests that
  are new. A new arm, model, judge, selection or suite adds jobs of its own, and makes those stale that read the
  results of all of them. "nothing": no output depends on the key.

The first line of the shipped `params.yaml` names `docs/params.schema.json`. Editors with a YAML language server (VS
Code with the YAML extension, Neovim, Helix and others) use it to complete keys, to show these texts and to mark
mistakes. Names that must be defined elsewhere in the file, and settings that exclude each other, are only checked when
the workflow starts.
"""
PARAMS = full() | {"environments": {"inference": "inference", "training": "training"}}
ADDS_JOBS = {
    "training_seeds": "new runs, report",
    **{f"sweeps.{NAME}.{key}": "new arms, report" for key in ("arm", "set", "values")},
}  # a change of the number of jobs, not of a job


class Key(NamedTuple):
    """A row of the reference. `pattern`: the key's parts, `*` for a name of the user's."""

    pattern: tuple[str, ...]
    schema: dict[str, Any]
    required: bool

    @property
    def written(self) -> str:
        return ".".join(NAME if part == "*" else part for part in self.pattern)


def json_schema() -> dict[str, Any]:
    """Pydantic's JSON schema of params.yaml without titles; names that no pattern allows are refused."""

    def cleaned(node: Any) -> Any:
        if isinstance(node, list):
            return [cleaned(one) for one in node]
        if not isinstance(node, dict):
            return node
        kept = {key: cleaned(value) for key, value in node.items() if key != "title" or isinstance(value, dict)}
        return kept | ({"additionalProperties": False} if "patternProperties" in kept else {})

    return cleaned(Params.model_json_schema())  # type: ignore[no-any-return]


SCHEMA = json_schema()


def options(node: dict[str, Any]) -> list[dict[str, Any]]:
    """The schemas that a value may have, null left out, with references resolved."""
    if "$ref" in node:
        return [SCHEMA["$defs"][node["$ref"].rsplit("/", 1)[1]]]
    found = node.get("anyOf") or node.get("oneOf") or [node]
    return [option for one in found if one.get("type") != "null" for option in (options(one) if one != node else [one])]


def entries(node: dict[str, Any]) -> dict[str, Any] | None:
    """The schema of the entries of a mapping with the user's names, if each of them is a section."""
    inner = [*node.get("patternProperties", {}).values(), node.get("additionalProperties")]
    sections = [one for one in inner if isinstance(one, dict) and "properties" in options(one)[0]]
    return sections[0] if sections else None


def sections(pattern: tuple[str, ...], node: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """The sections of a key that is one, or a mapping to some: where each is, and its schema."""
    for option in options(node):
        if "properties" in option:
            yield pattern, option
        elif inner := entries(option):
            yield from sections((*pattern, "*"), inner)


def keys(pattern: tuple[str, ...], section: dict[str, Any]) -> Iterator[Key]:
    """The keys of a section and of those in it; sections of a union are left out, they have tables of their own."""
    for name, node in section["properties"].items():
        at = (*pattern, name)
        yield Key(at, node, name in section.get("required", []))
        below = list(sections(at, node))
        if len(below) == 1:
            yield from keys(*below[0])


def kind(node: dict[str, Any]) -> str:
    """The type of a value and its bounds, in words."""
    if "$ref" in node or "properties" in node:
        return "section"
    if "const" in node:
        return f"`{node['const']}`"
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if alternatives := node.get("anyOf") or node.get("oneOf"):
        words = dict.fromkeys(map(kind, sorted(alternatives, key=lambda one: one.get("type") != "null")))
        return " or ".join(words)
    if node.get("type") == "object":
        inner = next((one for one in (entries(node), node.get("additionalProperties")) if isinstance(one, dict)), None)
        return f"mapping of names to {plural(kind(inner))}" if inner else "mapping"
    if node.get("type") == "array":
        return f"list of {plural(kind(node['items']))}"
    if node.get("type") in ("integer", "number"):
        return f"{node['type']} {bounds(node)}".strip()
    return {"string": "text", "boolean": "`true` or `false`", "null": "`null`"}[node["type"]]


def bounds(node: dict[str, Any]) -> str:
    if "minimum" in node and "maximum" in node:
        return f"from {number(node['minimum'])} to {number(node['maximum'])}"
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    found = [f"{sign} {number(node[name])}" for name, sign in signs.items() if name in node]
    return " and ".join(found)


def number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) or not value.is_integer() else f"{value:,.0f}"


def plural(words: str) -> str:
    head, space, rest = words.partition(" ")
    return words if head.startswith("`") or head == "text" else f"{head}s{space}{rest}"


def default(key: Key) -> str:
    """The default as it would be written in params.yaml; of a section, where it is not that of its keys."""
    if key.required:
        return "required"
    value = key.schema["default"]
    below = list(sections(key.pattern, key.schema))
    if below and isinstance(value, dict):
        at, section = below[0]
        if at != key.pattern:
            return f"`{flow({name: differing(inner, section) for name, inner in value.items()})}`"
        own = differing(value, section)
        return f"`{flow(own)}`" if own else ""
    return f"`{flow(value)}`"


def differing(value: dict[str, Any], section: dict[str, Any]) -> dict[str, Any]:
    """What a section's default sets otherwise than the section's keys do by themselves."""
    found = {}
    for name, inner in value.items():
        node = section["properties"][name]
        if "$ref" in node and isinstance(inner, dict):
            inner = differing(inner, options(node)[0]) if inner != node.get("default") else {}
            found |= {name: inner} if inner else {}
        elif inner != node.get("default", ABSENT):
            found[name] = inner
    return found


def flow(value: Any) -> str:
    if isinstance(value, float):
        return plain(value)
    return yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False).removesuffix("\n...\n").strip()


@cache
def jobs() -> list[Job]:
    """The jobs of a params.yaml in which every optional key is set."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        inputs(Path(folder))
        (Path(folder) / "params.yaml").write_text(yaml.safe_dump(PARAMS))
        os.chdir(folder)
        try:
            found = list_jobs()
        finally:
            os.chdir(here)
    rules = {job.rule for job in found}
    return found + [job for job in jobs_with_every_rule() if job.rule not in rules]  # of the sandbox's base model


@cache
def declarations() -> list[tuple[Job, list[str]]]:
    """Every job with the keys that its rule declares."""
    return [(job, declared(job.shell)) for job in jobs()]


@cache
def rules_in_order() -> list[str]:
    """The names of all rules in the order in which the Snakefile includes them."""
    files = re.findall(r'^include: "(.*)"', (ROOT / "Snakefile").read_text(), re.MULTILINE)
    return [rule for file in files for rule in re.findall(r"^rule (\w+):", (ROOT / file).read_text(), re.MULTILINE)]


def concrete(pattern: Iterable[str], values: Any) -> Iterator[list[str]]:
    """The keys of `values` that a pattern stands for; keys that `values` lacks count where nothing is open."""
    first, *rest = pattern
    names = list(values) if first == "*" and isinstance(values, dict) else [first]
    for name in names:
        below = values.get(name, ABSENT) if isinstance(values, dict) else ABSENT
        if rest:
            yield from ([name, *more] for more in concrete(rest, below))
        else:
            yield [name]


def makes_stale(pattern: tuple[str, ...], kinds: Collection[str] = ()) -> set[str]:
    """The rules that declare the key after `--params`, or that read the file or use the environment that it names.

    `kinds`: of the sections with these names only those whose `kind` is among these.
    """
    found = set()
    for parts in concrete(pattern, PARAMS):
        if kinds and look_up(PARAMS, ".".join([*parts[:-1], "kind"])) not in kinds:
            continue
        key, value = ".".join(parts), look_up(PARAMS, ".".join(parts))
        files = {f"envs/{value}.txt"} if parts[0] == "environments" else set(texts(value))
        for job, watched in declarations():
            covered = any(f"{key}.".startswith(f"{d}.") or d.startswith(f"{key}.") for d in watched)
            reads = bool(files & set(job.inputs))
            if key == "base":
                reads = " --base " in job.shell  # the model's path
            elif job.rule.startswith("sandbox_") and parts[0] != "environments":
                reads = False  # these rules have their own names for the files that they make
            if covered or reads:
                found.add(job.rule)
    return found


def texts(value: Any) -> list[str]:
    return (
        [value]
        if isinstance(value, str)
        else [one for one in value if isinstance(one, str)]
        if isinstance(value, list)
        else []
    )


def table(found: Iterable[Key], kinds: Collection[str] = ()) -> Iterator[str]:
    yield "| key | type | default | meaning | makes stale |"
    yield "|---|---|---|---|---|"
    for key in found:
        below = list(sections(key.pattern, key.schema))
        rules = set() if below else makes_stale(key.pattern, kinds)
        nothing = "" if below else ADDS_JOBS.get(key.written, "nothing")
        stale = ", ".join(rule for rule in rules_in_order() if rule in rules) or nothing
        cells = [f"`{key.written}`", kind(key.schema), default(key), key.schema.get("description", ""), stale]
        escaped = (" ".join(cell.replace("|", "\\|").split()) for cell in cells)
        yield f"| {' | '.join(escaped)} |"


def page() -> Iterator[str]:
    """The lines of docs/parameters.md."""
    yield INTRODUCTION
    top = list(keys((), {**SCHEMA, "properties": SCHEMA["properties"]}))
    yield "## Top level\n"
    yield from table(key for key in top if len(key.pattern) == 1)
    for name, node in SCHEMA["properties"].items():
        for number, (at, section) in enumerate(sections((name,), node)):
            other = f" with {section['required'][0]}" if number else ""  # of a union of sections
            yield f"\n## {Key(at, {}, False).written}{other}\n"
            yield section["description"] + "\n"
            yield from table(keys(at, section))
            for key in keys(at, section):
                below = list(sections(key.pattern, key.schema))
                for inner_at, inner in below if len(below) > 1 else []:
                    kinds = kind(inner["properties"]["kind"]).replace("`", "").split(", ")
                    yield f"\n### {Key(inner_at, {}, False).written}, kind {', '.join(kinds)}\n"
                    yield inner["description"] + "\n"
                    yield from table(keys(inner_at, inner), kinds)


def current() -> dict[Path, str]:
    """The content that both files should have."""
    schema = json.dumps(SCHEMA, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    return {PAGE: "\n".join(page()) + "\n", SCHEMA_FILE: schema}


if __name__ == "__main__":
    for path, content in current().items():
        path.write_text(content, encoding="utf-8")
