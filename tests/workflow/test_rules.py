"""What the rules make of a params.yaml: which jobs there are, and what makes each of them stale."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from holdfast.build import dvc_file
from holdfast.build.jobs import LISTING, list_jobs
from holdfast.common import section
from holdfast.common.section import look_up
from holdfast.inference.fingerprint import read_model
from holdfast.params.validation import validate
from toy_project import ROOT

SHIPPED = yaml.safe_load((ROOT / "params.yaml").read_text())
STEPS_OF_BASE = {"reconstruct": "", "generate": "base-", "score": "base-"}
LINKED = ("Snakefile", "rules", "src", "envs", "data", "examples")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project without its params.yaml, as the current folder."""
    for name in LINKED:
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stages(params: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The stages that follow from these parameters; each with the values that DVC watches."""
    Path("params.yaml").write_text(yaml.safe_dump(params))
    found = dvc_file.stages(list_jobs(), section.load())
    for stage in found.values():
        stage["values"] = {key: look_up(params, key) for key in stage["params"] if isinstance(key, str)}
    return found


def stale(before: dict[str, dict[str, Any]], now: dict[str, dict[str, Any]]) -> set[str]:
    """The stages whose command or parameters differ, but not their files."""
    return {name for name in now if any(before[name][key] != now[name][key] for key in ("cmd", "values"))}


def pins(environment: str) -> dict[str, str]:
    """Version by package of an environment's list."""
    lines = (ROOT / f"envs/{environment}.txt").read_text().splitlines()
    return dict(line.split(" ")[0].split("==") for line in lines if "==" in line and not line.startswith("#"))  # type: ignore[misc]


def with_models(**changes: dict[str, Any]) -> dict[str, Any]:
    models = {name: {**model, **changes.get(name, {})} for name, model in SHIPPED["models"].items()}
    return {**SHIPPED, "models": models}


def test_only_what_changes_answers_makes_a_job_stale(project: Path) -> None:
    plain: dict[str, Any] = {"engine_args": {"dtype": "float32", "max_model_len": 256}}
    free = {
        "rates": {"input_per_million_tokens": 3.0}, "concurrency": 4, "timeout_s": 7.0, "max_failed_share": 0.5,
        "requests_per_minute": 5.0, "tokens_per_minute": 5.0, "policy": ["outputs_may_train", "x"], "gpus": 2,
        "resources": {"mem_mb": 9000},
        "engine_args": {**plain["engine_args"], "gpu_memory_utilization": 0.5},
    }  # fmt: skip
    before = stages(with_models(base=plain))
    assert stale(before, stages(with_models(base=plain | free, scholar=free))) == set()
    runs = {f"{step}-{arm}" for step in ("mix", "train", "evaluate") for arm in SHIPPED["arms"]}
    asked = {"reconstruct", "generate-base", "score-base", "evaluate-base"}
    pinned = stale(before, stages(with_models(base=plain | {"revision": "abc"})))
    answers = {f"generate-{name}" for name in SHIPPED["generate"]["models"]}  # free of the base's control tokens
    assert pinned == runs | asked | answers | {"seed", "recipe"}
    trusting = {"engine_args": {**plain["engine_args"], "trust_remote_code": True}}
    assert stale(before, stages(with_models(base=trusting))) == pinned
    longer = {"engine_args": {**plain["engine_args"], "max_model_len": 512}}
    evaluations = {name for name in runs if name.startswith("evaluate")}
    assert stale(before, stages(with_models(base=longer))) == asked | evaluations


def test_shards_are_jobs_of_their_own_before_the_step_s_own(project: Path) -> None:
    before, now = stages(SHIPPED), stages(with_models(base={"shards": 2}, scholar={"shards": 3}))
    base = {f"{step}_shard-{name}{n}of2" for step, name in STEPS_OF_BASE.items() for n in (1, 2)}
    runs = ("base", *SHIPPED["arms"])
    evaluations = {f"evaluate_shard-{run}-{n}of2" for run in runs for n in (1, 2)}
    scholar = {f"{step}_shard-scholar-{n}of3" for step in ("generate", "score") for n in (1, 2, 3)}
    assert set(now) - set(before) == base | scholar | evaluations
    assert stale(before, {name: now[name] for name in before}) == set(), "commands and parameters stay"
    ask_base = [path for stage in base | {f"evaluate_shard-base-{n}of2" for n in (1, 2)} for path in now[stage]["outs"]]
    steps = {name: set(now[name]["deps"]) - set(before[name]["deps"]) for name in before}
    assert {path for paths in steps.values() for path in paths if "base" in path or "reconstruct" in path} == set(
        ask_base
    )
    assert {name for name, more in steps.items() if more} == {
        *("reconstruct", *(f"{step}-{model}" for step in ("generate", "score") for model in ("base", "scholar"))),
        *(f"evaluate-{run}" for run in runs),
    }  # fmt: skip


def test_a_model_s_resources_are_its_jobs_and_the_others_have_the_profile_s(project: Path) -> None:
    own = {"mem_mb": 9000, "runtime": 77, "slurm_partition": "big", "cpus_per_task": 6}
    params = with_models(scholar={"resources": own, "gpus": 2, "shards": 2})
    params["train"] = SHIPPED["train"] | {"resources": {"mem_mb": 8000}}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    defaults = ["mem_mb=1000", "runtime=5", "slurm_partition=small"]
    done = subprocess.run(
        [Path(sys.executable).parent / "snakemake", "-n", "-F", "--verbose", "--default-resources", *defaults],
        capture_output=True, text=True, env=dict(os.environ, PYTHONPATH="src", **{LISTING: "1"}),
    )  # fmt: skip
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    jobs = {}
    for part in text.split("\nrule ")[1:]:
        job = part.split("\n\n")[0]
        wildcards = re.search(r"wildcards: (.*)", job)
        line = re.search(r"resources: (.*)", job)
        jobs[part.split(":")[0], wildcards[1] if wildcards else ""] = set(line[1].split(", ")) if line else set()
    scholar = {"mem_mb=9000", "runtime=77", "slurm_partition=big", "cpus_per_task=6"}
    profile = {"mem_mb=1000", "runtime=5", "slurm_partition=small"}
    assert jobs["generate", "model=scholar"] >= scholar | {"gpu=0"}, "it puts the shards together"
    assert jobs["generate_shard", "model=scholar, shard=1, shards=2"] >= scholar | {"gpu=2"}
    assert jobs["score", "judge=base"] >= profile | {"gpu=0"}
    assert not any(resource.startswith("cpus_per_task") for resource in jobs["score", "judge=base"])
    assert jobs["train", "run=rehearsed"] >= {"mem_mb=8000", "runtime=5"}
    assert jobs["clean", ""] >= profile


def test_an_arm_s_own_training_settings_concern_its_training_only(project: Path) -> None:
    def with_own(**train: Any) -> dict[str, Any]:
        arms = SHIPPED["arms"] | {"rehearsed": SHIPPED["arms"]["rehearsed"] | ({"train": train} if train else {})}
        return stages({**SHIPPED, "arms": arms})

    before, now = with_own(), with_own(learning_rate=0.001)
    assert set(now) - set(before) == {"arm_recipe-rehearsed"}
    assert "data/train/recipes/rehearsed.yaml" in now["train-rehearsed"]["deps"]
    kept = {name: now[name] for name in before}
    assert stale(before, kept) == {"train-rehearsed", "report"}
    assert {name for name in before if before[name]["deps"] != now[name]["deps"]} == {"train-rehearsed"}
    assert stale(now, with_own(learning_rate=0.01)) == {"arm_recipe-rehearsed", "report"}
    assert stale(now, with_own(learning_rate=0.001, gpus=2)) == {"arm_recipe-rehearsed", "train-rehearsed", "report"}
    longer = stale(now, with_own(learning_rate=0.001, sequence_len=64))
    assert longer == {"arm_recipe-rehearsed", "mix-rehearsed", "report"}, "rows that are too long are rejected"


def test_pairs_are_made_where_asked_for_and_concern_nothing_else(project: Path) -> None:
    before, now = stages(SHIPPED), stages(SHIPPED | {"preferences": {"selections": ["selected"]}})
    assert set(now) - set(before) == {"pairs-selected"}
    assert stale(before, {name: now[name] for name in before}) == set()
    wider = stages(SHIPPED | {"preferences": {"selections": ["selected"], "min_margin": 1.0}})
    assert stale(now, wider) == {"pairs-selected"}
    Path("params.yaml").write_text(yaml.safe_dump(SHIPPED))
    words = [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1", "preferences"]
    done = subprocess.run(words, env=os.environ | {LISTING: "1"}, capture_output=True, text=True)
    assert "add `preferences: {selections: [selected]}`" in done.stdout + done.stderr


def test_what_is_drawn_by_damage_comes_after_the_arm_that_probes_it(project: Path) -> None:
    rehearsal = {"selection": "selected", "draw": "damage", "probe": "domain_only"}
    before, now = stages(SHIPPED), stages(SHIPPED | {"sources": {**SHIPPED["sources"], "rehearsal": rehearsal}})
    assert set(now) - set(before) == {"probe-selected-base", "probe-selected-domain_only"}
    assert stale(before, {name: now[name] for name in before}) == {"mix-rehearsed", "report"}
    assert {"data/filter/selected.parquet", "models/domain_only"} <= set(now["probe-selected-domain_only"]["deps"])
    probes = {"data/probe/selected/base.parquet", "data/probe/selected/domain_only.parquet"}
    assert probes <= set(now["mix-rehearsed"]["deps"])
    assert {dep for dep in now["mix-domain_only"]["deps"] if "probe" in dep} == set()


def test_a_model_is_read_whole_if_what_it_answers_by_is_declared(project: Path) -> None:
    priced = {"path": "m", "engine_args": {"dtype": "float32"}, "rates": {"output_per_million_tokens": 3.0}}
    Path("params.yaml").write_text(yaml.safe_dump({"models": {"m": priced}}))
    model = read_model("random_seed,models.m.engine_args.dtype,models.m.path", "m")
    assert (model.path, model.rates.output_per_million_tokens) == ("m", 3.0)
    with pytest.raises(AssertionError, match=r"models\.m\.engine_args\.dtype is read"):
        read_model("models.m.path", "m")


def test_evaluating_takes_the_gpus_of_base_and_judges(project: Path) -> None:
    rubric = {
        "kind": "judge",
        "path": "data/sandbox/general.jsonl",
        "judge": "scholar",
        "rubric": "data/seed/rubric.md",
    }
    evaluate = {"suites": {**SHIPPED["evaluate"]["suites"], "style": rubric}}
    params = with_models(base={"gpus": 1}, scholar={"gpus": 4}) | {"evaluate": evaluate}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    words = [sys.executable, "-m", "snakemake", "--dry-run", "--forceall", "--cores", "8", "metrics/base.json"]
    done = subprocess.run(words, env=os.environ | {LISTING: "1"}, capture_output=True, text=True)
    job = done.stdout.partition("rule evaluate:")[2].partition("\n\n")[0]
    assert "gpu=4" in job, done.stdout + done.stderr


def test_the_paper_s_settings_are_valid_and_planned(project: Path) -> None:
    params = yaml.safe_load((ROOT / "examples/paper.yaml").read_text())
    Path("params.yaml").write_text((ROOT / "examples/paper.yaml").read_text())
    assert validate().base == "llama"
    found = stages(params)
    committee = {f"{step}-{name}" for step in ("generate", "score") for name in ("llama", "qwen", "gpt4")}
    arms = {f"{step}-{arm}" for step in ("mix", "train", "evaluate") for arm in ("domain_only", "rehearsed")}
    rest = {"seed", "reconstruct", "clean", "filter-selected", "judge_statistics", "recipe", "evaluate-base", "report"}
    rest |= {"suite_items-mmlu_pro", "suite_items-math_hard"}
    assert set(found) == committee | arms | rest
    assert {dvc_file.environment(stage["cmd"]) for stage in found.values()} == {"core", "inference-gpu", "training-gpu"}
    assert found["evaluate-base"]["deps"].count("examples/data/domain_suite.jsonl") == 1


def test_the_alternatives_need_only_arms_that_the_sandbox_lacks(project: Path) -> None:
    params = yaml.safe_load((ROOT / "examples/alternatives.yaml").read_text())
    other = ("arms", "sweeps")
    assert {k: v for k, v in params.items() if k not in other} == {k: v for k, v in SHIPPED.items() if k not in other}
    before = stages(SHIPPED)
    now = stages(params)
    assert validate().base == "base"
    trained = {f"{step}-{arm}" for step in ("arm_recipe", "mix", "train", "evaluate") for arm in ("slow", "lora")}
    averages = ("averaged", "rehearsed_averaged", "averaged_weight_25_pct", "averaged_weight_75_pct")
    assert set(now) - set(before) == trained | {f"{step}-{arm}" for step in ("merge", "evaluate") for arm in averages}
    assert stale(before, {name: now[name] for name in before}) == {"report"}


@pytest.mark.parametrize("environment", ["inference", "inference-gpu"])
def test_the_paper_s_harness_tasks_find_their_packages(environment: str) -> None:
    assert {"math-verify", "antlr4-python3-runtime", "sympy"} <= set(pins(environment))  # leaderboard_math_hard


def test_what_the_how_to_trains_with_is_there() -> None:
    assert "deepspeed" in pins("training-gpu")
