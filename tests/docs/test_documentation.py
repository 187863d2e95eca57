"""What the documentation names exists (links, paths, parameters, commands), and its generated parts are current."""

import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

import parameter_reference
import rule_graph
from holdfast.build.dvc_file import DIGESTS
from holdfast.cli.commands import COMMANDS
from holdfast.params.schema import Params
from toy_project import ROOT

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "envs/README.md", *(ROOT / "docs").rglob("*.md")]
)
SCHEMA = Params.model_json_schema()
SUFFIXES = (".py", ".md", ".smk", ".yaml", ".toml", ".jsonl", ".json", ".parquet", ".csv", ".html", ".html.j2")


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def spans(page: str) -> list[str]:
    """The pieces of code in running text and tables."""
    prose = re.sub(r"^```.*?^```", "", text(page), flags=re.MULTILINE | re.DOTALL)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]


@cache
def tracked() -> frozenset[str]:
    """Files of the repository, those not yet committed too, and every folder above them."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    found = [Path(file) for file in files if (ROOT / file).exists()]
    return frozenset(str(path) for file in found for path in (file, *file.parents))


@cache
def source() -> str:
    """The text of all code, in which the names of local files, columns and functions stand."""
    kept = [f for f in tracked() if re.match(r"(src|rules|tests|bench|envs)/|Snakefile|Makefile", f)]
    return "\n".join((ROOT / f).read_text(encoding="utf-8", errors="replace") for f in kept if (ROOT / f).is_file())


@cache
def outputs() -> frozenset[str]:
    """What the jobs write, and the folders that hold it."""
    files = [DIGESTS, *(Path(out) for job in parameter_reference.jobs() for out in job.outputs)]
    return frozenset(str(path) for file in files for path in (file, *file.parents))


def exists(path: str, folder: str = "") -> bool:
    """Whether a path, perhaps with {names} or <names> in it, is a file of the repository or one that a job writes."""
    parts = re.findall(r"[{<][^}>]*[}>]|[^{<]+", folder + path.rstrip("/"))
    pattern = re.compile("".join("[^/]+" if part[0] in "{<" else re.escape(part) for part in parts))
    return any(pattern.fullmatch(known) for known in tracked() | outputs())


def parameter_exists(key: str) -> bool:
    """Whether params.yaml may have this dotted key; `*`, <name> or any name stand for one of the user's."""
    nodes: list[Any] = [SCHEMA]
    for part in key.split("."):
        below: list[Any] = []
        for node in map(resolve, nodes):
            options = [resolve(o) for o in node.get("anyOf", []) + node.get("oneOf", [])] or [node]
            for option in options:
                below += [option["properties"][part]] if part in option.get("properties", {}) else []
                below += [*option.get("patternProperties", {}).values()]
                further = option.get("additionalProperties")
                below += [further if isinstance(further, dict) else {"additionalProperties": True}] if further else []
        nodes = below
    return bool(nodes)


def resolve(node: dict[str, Any]) -> dict[str, Any]:
    return resolve(SCHEMA["$defs"][node["$ref"].rsplit("/", 1)[1]]) if "$ref" in node else node


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text(page)):
        if not target.startswith("http"):
            assert ((ROOT / page).parent / target.split("#")[0]).exists(), f"{page} links to {target}"


@pytest.mark.parametrize("page", PAGES)
def test_named_paths_exist(page: str) -> None:
    folders = {known.split("/")[0] for known in tracked() | outputs()}
    for span in spans(page):
        if not re.fullmatch(r"[\w.<>{}/-]+", span):
            continue
        folder, _, name = span.rstrip("/").rpartition("/")
        if span.startswith((".holdfast", "logs", "benchmarks")) or (not folder and name.endswith(SUFFIXES)):
            some_folder = any(known.endswith(f"/{name}") for known in tracked() | outputs())
            found = exists(name) or some_folder or span.rstrip("/") in source()
        elif folder.split("/")[0] in folders:
            found = exists(span) or (exists(folder) and name in source())  # the latter in a folder that a job writes
        else:
            found = not folder or page != "CONTRIBUTING.md" or exists(span, "src/holdfast/")
        assert found, f"{page} names {span}, which does not exist"


@pytest.mark.parametrize("page", PAGES)
def test_named_parameters_exist(page: str) -> None:
    comments = " ".join(re.findall(r" # (.*)$", text(page), flags=re.MULTILINE))
    for span in [*spans(page), *re.findall(r"[\w.*<>]+", comments)]:
        key = span.partition(":")[0]
        if re.fullmatch(r"[a-z_]+(\.[a-z_]+|\.\*|\.<\w+>)+", key) and key.split(".")[0] in Params.model_fields:
            assert parameter_exists(key) or key.endswith(SUFFIXES), f"{page} names {key}, which params.yaml cannot have"


@pytest.mark.parametrize("page", PAGES)
def test_yaml_examples_have_keys_that_exist(page: str) -> None:
    def keys(values: Any, above: str = "") -> list[str]:
        if not isinstance(values, dict) or not values:
            return [above]
        return [key for name, value in values.items() for key in keys(value, f"{above}.{name}".strip("."))]

    for example in re.findall(r"^```yaml\n(.*?)^```", text(page), flags=re.MULTILINE | re.DOTALL):
        for key in keys(yaml.safe_load(example)):
            assert parameter_exists(key), f"{page} sets {key}, which params.yaml cannot have"


@pytest.mark.parametrize("page", PAGES)
def test_named_commands_and_code_exist(page: str) -> None:
    targets = re.findall(r"^(\w+):", text("Makefile"), flags=re.MULTILINE)
    for span in [*spans(page), *re.findall(r"^[^#\n]+", text(page), flags=re.MULTILINE)]:
        for command in re.findall(r"^holdfast ([a-z]+)", span):
            assert command in COMMANDS, f"{page} names holdfast {command}"
        for target in re.findall(r"^make ([a-z]+)$", span.strip()):
            assert target in targets, f"{page} names make {target}"
        for profile in re.findall(r"--profile (\S+)", span):
            assert (ROOT / profile.strip("`.,")).is_dir(), f"{page} names {profile}"
    for name in spans(page):
        if re.fullmatch(r"[a-z]+(_[a-z0-9]+)+(\(\))?", name):
            assert re.search(rf"\b{name.strip('()')}\b", source() + text("params.yaml")), f"{page} names {name}"
        if re.fullmatch(r"holdfast(\.\w+)+", name) and not name.endswith(SUFFIXES):
            assert exists("src/" + name.replace(".", "/") + ".py") or exists("src/" + name.replace(".", "/")), name


def test_the_tests_that_the_log_names_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text("docs/log.md"))
    assert named
    for path, name in named:
        found = (ROOT / path).is_file() and re.search(rf"^(async )?def {name}\(", text(path), flags=re.MULTILINE)
        assert found, f"docs/log.md names {path}::{name}, which does not exist"


def test_contributing_names_code_where_it_is() -> None:
    found = re.findall(r"((?:`[\w.]+(?:\(\))?`(?:,| and)? )+)in `([\w/.]+\.py)`", text("CONTRIBUTING.md"))
    assert found
    for names, path in found:
        file = path if path.startswith("src/") else f"src/holdfast/{path}"
        for name in re.findall(r"\w+(?=(?:\(\))?`)", names):
            assert re.search(rf"\b{name}\b\s*(\(|=|:)", text(file)), f"CONTRIBUTING.md names {name} in {path}"


def test_the_rule_graph_is_current() -> None:
    current = rule_graph.page() == rule_graph.PAGE.read_text(encoding="utf-8")
    assert current, f"the rule graph in docs/architecture.md has changed; run: {rule_graph.COMMAND}"


def test_the_tree_has_a_line_for_every_folder() -> None:
    tree = text("docs/architecture.md").split("```")[1]
    named: set[str] = set()
    path: list[str] = []
    for line in filter(None, tree.splitlines()):
        depth, name = (len(line) - len(line.lstrip())) // 2, line.split()[0]
        path[depth:] = [name]
        named.add("".join(path).rstrip("/"))
        named |= {"".join(path) + file for file in re.findall(r"\w+\.(?:py|smk)", line) if name.endswith("/")}
    code = {f for f in tracked() if re.match(r"src/holdfast(/[a-z]+)*$", f) and (ROOT / f / "__init__.py").exists()}
    top = {f for f in tracked() if "/" not in f and (ROOT / f).is_dir() and not f.startswith(".")} - {"src"}
    assert code | top <= named, f"docs/architecture.md has no line for {sorted((code | top) - named)}"
    assert named <= tracked(), f"docs/architecture.md names {sorted(named - tracked())}, which do not exist"


def test_the_page_has_the_order_of_imports_that_is_enforced() -> None:
    contracts = tomllib.loads(text("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    said = re.search(r"^> (.*)$", text("docs/architecture.md"), flags=re.MULTILINE)
    assert said is not None
    assert re.findall(r"`(\w+)`", said[1]) == layers
