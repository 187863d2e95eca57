"""Paths and values from params.yaml reach the steps as they are, whatever a shell would make of them."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from holdfast.common.errors import UserError
from holdfast.params.validation import validate
from small_tokenizers import tokenizer
from templates import SHAPES
from toy_project import ROOT, Project

AWKWARD = 'it\'s a "test"; touch hacked & $(touch hacked) `touch hacked` ö * [a] #1, 50 %!'
WANTED = ["data/seed/prompts.parquet", "data/mix/domain_only/train.jsonl"]


def test_every_value_in_a_shell_command_is_quoted() -> None:
    for path in [*(ROOT / "rules").glob("*.smk"), *(ROOT / "tests/toy/rules").glob("*.smk")]:
        commands = "".join(re.findall(r'^ {8}"(.*)"$', path.read_text(), re.MULTILINE))
        values = re.findall(r"\{((?:input|output|params|log|resources)\b[^}]*)\}", commands)
        assert all(value.endswith(":q") or value == "params.code" for value in values), f"{path}: {values}"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The real rules up to the mixed data, in a folder with a blank, with awkward paths of the user's own."""
    folder = tmp_path_factory.mktemp("paths") / "my project"
    folder.mkdir()
    for name in ("envs", "profiles", "rules", "src", "data/seed"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Snakefile", "dvc.yaml", ".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    mine = folder / f"mine {AWKWARD}"
    (mine / "base").mkdir(parents=True)
    tokenizer(SHAPES["chatml"]).save_pretrained(mine / "base")
    (mine / "base/config.json").write_text("{}")
    (mine / "system prompts.jsonl").write_text('{"system": "Be brief.", "weight": 1}\n')
    rows = [{"prompt": f"Question {n}?", "completion": f"Answer {n}."} for n in range(30)]
    (mine / "domain data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    item = {"item_id": "1", "task": "t", "prompt": "Of what is this the only item?", "answer": "a suite"}
    (mine / "suite 1.jsonl").write_text(json.dumps(item) + "\n")
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["models"]["base"]["path"] = f"./mine {AWKWARD}/base"
    params["seed"]["system_prompts"] = f"mine {AWKWARD}/system prompts.jsonl"
    params["sources"]["domain"]["path"] = f"mine {AWKWARD}/domain data.jsonl"
    params["evaluate"]["suites"]["general"]["path"] = f"mine {AWKWARD}/suite 1.jsonl"
    params["evaluate"]["suites"]["domain"]["path"] = f"mine {AWKWARD}/suite 1.jsonl"
    (folder / "params.yaml").write_text(yaml.safe_dump(params, allow_unicode=True))
    found = Project(folder)
    found.git("init", "--quiet")
    return found


@pytest.mark.workflow
@pytest.mark.parametrize("engine", ["snakemake", "dvc"])
def test_awkward_paths(project: Project, engine: str) -> None:
    params = project.params()
    params["random_seed"] = len(engine)
    project.set_params(params)
    if engine == "snakemake":
        project.snakemake("--", *WANTED)
    else:
        project.dvc("repro", "workflow", check=False)
        project.dvc("repro", "seed", "mix-domain_only")
    rows = (project.folder / WANTED[1]).read_text().splitlines()
    assert len(rows) == 29  # and one to validate with
    assert not list(project.folder.rglob("hacked")), "a path was run as a command"
    stale = project.stale_for_dvc()
    assert not {"seed", "mix-domain_only"} & stale
    assert "Nothing to be done" in project.snakemake("--dry-run", "--", *WANTED).stdout


@pytest.mark.parametrize(
    ("key", "path", "fault"),
    [
        (("sources", "domain", "path"), "data/{x}.jsonl", "sources.domain.path: 'data/{x}.jsonl' contains a brace"),
        (("sources", "domain", "path"), "a${b}", "sources.domain.path: 'a${b}' contains a brace"),
        (("score", "rubric"), "a\nb", "score.rubric: 'a\\nb' contains a line break"),
        (("seed", "examples"), "-x.jsonl", "seed.examples: '-x.jsonl' begins with a hyphen"),
        (("models", "base", "path"), "models/sandbox/bsae", "models.base.path: bsae is not defined in sandbox.models"),
        (("sandbox", "models"), {"a b": {}}, "sandbox.models.a b: a name consists of"),
        (("environments", "training"), "my env", "environments.training: must match"),
    ],
)
def test_what_no_quoting_mends_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: tuple[str, ...], path: Any, fault: str
) -> None:
    monkeypatch.chdir(ROOT)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    section = params
    for name in key[:-1]:
        section = section[name]
    section[key[-1]] = path
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(UserError) as raised:
        validate(str(tmp_path / "params.yaml"))
    assert fault in str(raised.value)
