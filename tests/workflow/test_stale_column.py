"""The column "makes stale" of docs/parameters.md against what Snakemake's jobs and DVC's stages become."""

import copy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

import parameter_reference as reference
from example_params import inputs
from holdfast.build import dvc_file
from holdfast.build.jobs import list_jobs
from holdfast.common.section import look_up

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("project")
    inputs(made)
    (made / "data/seed/other.md").write_text("Score it.")
    return made


@cache
def unchanged() -> dict[str, tuple[str, Any]]:
    return watched(reference.PARAMS)


def watched(params: dict[str, Any]) -> dict[str, tuple[str, Any]]:
    """For each stage its rule, and what decides whether it is stale: command, files, and the values of its keys."""
    Path("params.yaml").write_text(yaml.safe_dump(params))
    jobs = list_jobs()
    rules = {dvc_file.stage_name(job): job.rule for job in jobs}
    stages = dvc_file.stages(jobs, params)
    values = {n: [look_up(params, key) for key in s["params"] if isinstance(key, str)] for n, s in stages.items()}
    return {name: (rules[name], [stage["cmd"], stage["deps"], values[name]]) for name, stage in stages.items()}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed.samples", 13),
        ("clean.contamination.ngram", 20),
        ("generate.sampling.top_p", 0.3),
        ("score.rubric", "data/seed/other.md"),
        ("train.learning_rate", 0.1),
        ("models.base.licence", "Apache-2.0"),
        ("models.base.rates.rows_per_s", 17.0),
        ("evaluate.suites.general.path", "data/sandbox/public.jsonl"),
        ("environments.inference", "inference-gpu"),
        ("report.examples", 3),
        ("training_seeds", 5),
    ],
)
def test_the_column_agrees_with_the_stages(folder: Path, monkeypatch: pytest.MonkeyPatch, key: str, value: Any) -> None:
    monkeypatch.chdir(folder)
    before, params = unchanged(), copy.deepcopy(reference.PARAMS)
    *parts, last = key.split(".")
    inner = params
    for part in parts:
        inner = inner[part]
    inner[last] = value
    now = watched(params)
    stale = {rule for name, (rule, what) in now.items() if name in before and before[name][1] != what}
    pattern = tuple(
        "*" if parts[n - 1 : n] in (["models"], ["suites"]) else part for n, part in enumerate(key.split("."))
    )
    kinds = (inner["kind"],) if "suites" in parts else ()
    expected = {"report"} if key in reference.ADDS_JOBS else reference.makes_stale(pattern, kinds)
    assert stale == expected
