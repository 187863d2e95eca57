"""dvc.yaml follows from the Snakefile's graph."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from holdfast.build import code_digest, dvc_file
from holdfast.build.jobs import Job, list_jobs
from holdfast.common import section
from holdfast.common.errors import UserError
from toy_project import ROOT, Project

SHELL = (
    "exec envs/job generate-a --env envs/core.txt --code a.b --log l -- python -m x"
    " --params random_seed,generate.samples --o out"
)
PARAMS = {"random_seed": 0, "generate": {"samples": 3}}


def job(**changes: Any) -> Job:
    inputs = [".holdfast/stamps/generate-a", "in", "envs/core.txt", "in"]
    return Job("generate", inputs, ["metrics/b.json", "a"], SHELL)._replace(**changes)


def test_the_committed_file_is_current(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = dvc_file.HEADER + dvc_file.render(list_jobs(), section.load())
    assert Path("dvc.yaml").read_text() == text, "dvc.yaml has drifted; run: envs/in-env core holdfast dvc"


def test_a_chat_template_of_the_users_is_an_input_of_the_jobs_that_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("Snakefile", "rules", "src", "envs", "data", "profiles"):
        (tmp_path / name).symlink_to(ROOT / name)
    text = (ROOT / "params.yaml").read_text()
    given = "path: models/sandbox/base\n    chat_template: mine.jinja"
    (tmp_path / "params.yaml").write_text(text.replace("path: models/sandbox/base", given, 1))
    (tmp_path / "mine.jinja").write_text("{{ messages }}")
    monkeypatch.chdir(tmp_path)
    jobs = [job for job in list_jobs() if "mine.jinja" in job.inputs]
    steps = {"mix", "train", "generate", "score", "evaluate"}
    assert steps <= {job.rule for job in jobs}
    assert all("models.base" in job.shell for job in jobs if job.rule in steps)
    arms = [job for job in jobs if job.rule == "evaluate" and "--arm base" not in job.shell]
    assert not arms, "an arm carries the template that it was trained with"


def test_a_job_becomes_a_stage() -> None:
    found = dvc_file.stages([job()], PARAMS)
    assert found == {
        "generate-a": {
            "cmd": SHELL,
            "deps": ["envs/core.txt", "in"],
            "params": ["generate.samples", "random_seed", {"data/workflow/code.yaml": ["a/b"]}],
            "outs": ["a", "metrics/b.json"],
        }
    }
    whole = yaml.safe_load(dvc_file.render([job()], PARAMS))
    assert whole["metrics"] == ["metrics/b.json"]
    assert list(whole["stages"]) == ["workflow", "generate-a"]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"inputs": ["in", "envs/core.txt"]}, "needs exactly one input .holdfast/stamps/NAME"),
        ({"inputs": [".holdfast/stamps/generate-a"]}, "needs the input env=env"),
        ({"shell": SHELL.replace("generate-a", "generate-b")}, "must begin with 'exec envs/job generate-a'"),
        ({"shell": SHELL.replace(" --code a.b", "")}, "needs the parameter code=code(MODULE)"),
        ({"shell": SHELL + "\necho"}, "must be one line"),
        ({"shell": SHELL + " ${HOME}"}, "must be one line without"),
        ({"shell": SHELL.replace(".samples", ".sample")}, "declares generate.sample, which is not in params.yaml"),
    ],
)
def test_a_rule_that_cannot_be_a_stage_is_refused(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(UserError, match="rule generate: ") as raised:
        dvc_file.stages([job(**changes)], PARAMS)
    assert fault in str(raised.value)


@pytest.mark.workflow
def test_dvc_shows_metrics_graph_and_losses(toy: Project) -> None:
    assert json.loads(toy.dvc("metrics", "show", "--json").stdout)[""]["data"]["metrics/summary.json"]["data"]
    assert "train-mixed" in toy.dvc("dag", "--mermaid").stdout
    text = dvc_file.render([job(outputs=["plots/train/a.csv"])], PARAMS)
    (toy.folder / "dvc.yaml").write_text(text)
    (toy.folder / "plots/train").mkdir(parents=True)
    (toy.folder / "plots/train/a.csv").write_text("step,epoch,loss,eval_loss,grad_norm\n3,0.5,2.5,,9\n6,1,1.5,2,8\n")
    shown = toy.dvc("plots", "show", "--show-vega", "plots/train/a.csv").stdout
    assert '"x": {"field": "step"' in shown
    assert '"y": {"field": "loss"' in shown


def test_two_jobs_with_one_stamp_are_refused() -> None:
    with pytest.raises(UserError, match="two jobs use the stamp"):
        dvc_file.stages([job(), job(outputs=["c"])], PARAMS)


def test_the_order_of_jobs_changes_nothing() -> None:
    other = job(inputs=[".holdfast/stamps/z", "envs/core.txt"], outputs=["z"], shell=SHELL.replace("generate-a", "z"))
    assert dvc_file.render([job(), other], PARAMS) == dvc_file.render([other, job()], PARAMS)


@pytest.mark.workflow
def test_snakemake_tells_us_its_jobs(toy: Project) -> None:
    """Fails when an upgrade of Snakemake changes what its logger plugins are told."""
    said = toy.run("python", "-m", "holdfast.build.jobs", HOLDFAST_LISTING="1").stdout
    jobs = {job["outputs"][0]: job for job in json.loads(said)}
    assert len(jobs) == 7
    train = jobs["models/mixed"]
    assert train["rule"] == "train"
    assert train["inputs"][0] == "data/filter/selected.txt"
    assert ".holdfast/stamps/train-mixed" in train["inputs"]
    assert train["shell"].startswith(
        "exec envs/job train-mixed --env envs/core.txt --code holdfast.toy.train --log logs/train/mixed.log -- python"
    )


@pytest.mark.workflow
def test_a_new_rule_text_reaches_dvc(toy: Project) -> None:
    rules = toy.folder / "rules/toy.smk"
    rules.write_text(
        rules.read_text().replace("python -m holdfast.toy.report", "env A=1 python -m holdfast.toy.report")
    )
    assert toy.stale_for_dvc() == {"workflow"}
    done = toy.dvc("repro", check=False)
    assert done.returncode != 0
    assert "dvc.yaml was out of date and has been regenerated; run `dvc repro` again" in done.stderr
    assert toy.stale_for_dvc() == {"workflow", "report"}
    toy.dvc("repro")
    assert toy.ran() == ["report"]
    assert toy.stale_for_snakemake() == toy.stale_for_dvc() == set()


@pytest.mark.workflow
def test_a_single_stage_never_runs_under_an_old_dvc_file(toy: Project) -> None:
    rules = toy.folder / "rules/toy.smk"
    rules.write_text(rules.read_text().replace("-m holdfast.toy.train", "-X dev -m holdfast.toy.train"))
    (toy.folder / "src/holdfast/toy/train.py").write_text("raise SystemExit('must not run')\n")
    params = toy.params()
    params["arms"]["plain"]["share"] = 0.125  # what makes DVC run this stage at all
    toy.set_params(params)
    done = toy.dvc("repro", "--single-item", "train-plain", check=False)
    assert "has been regenerated" in done.stderr
    assert "must not run" not in done.stderr


@pytest.mark.workflow
def test_faults_in_rules_are_shown(toy: Project) -> None:
    rules = toy.folder / "rules/toy.smk"
    rules.write_text(rules.read_text().replace("{output.summary:q}", "{output.sumary:q}"))
    done = toy.snakemake("--dry-run", check=False)
    assert done.returncode != 0
    assert "sumary" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_module_runs_what_it_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "src/holdfast"
    (package / "deep").mkdir(parents=True)
    files = {
        "__init__.py": '"""P."""',
        "a.py": "import os\nfrom holdfast import b\n",
        "b.py": "def f():\n    from holdfast.deep.c import x\n    return x\n",
        "deep/__init__.py": "",
        "deep/c.py": "x = 1\n",
        "unused.py": "y = 1\n",
    }
    for name, text in files.items():
        (package / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    assert code_digest.closure("holdfast.a") == (
        "holdfast",
        "holdfast.a",
        "holdfast.b",
        "holdfast.deep",
        "holdfast.deep.c",
    )
    with pytest.raises(FileNotFoundError):
        code_digest.closure("holdfast.nothing")
