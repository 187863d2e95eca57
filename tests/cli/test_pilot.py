"""A pilot's rows are the first rows of the whole build, and it leaves the checkout as it was."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import yaml

from models import taught_model
from server import Server, served
from toy_project import ROOT

pytestmark = pytest.mark.engine

WORDS = ("one", "two", "red", "blue", "cat", "dog", "sun", "moon", "tree", "sea", "salt", "rain")
TALKS = {f"Say the word {word}.": word for word in WORDS}
BIN = Path(sys.executable).parent


@pytest.fixture
def server() -> Iterator[Server]:
    with served() as server:
        yield server


@pytest.fixture
def project(tmp_path: Path, server: Server) -> Path:
    """The real chain: a tiny base model on Transformers, a committee and a judge at an endpoint."""
    project = tmp_path / "project"
    unwanted = shutil.ignore_patterns("__pycache__")
    for name in ("src", "rules", "envs", "profiles", "examples", "data/seed"):
        shutil.copytree(ROOT / name, project / name, ignore=unwanted)
    for name in ("Snakefile", ".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore"):
        (project / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, project / name)
    shutil.copytree(taught_model("chatml", TALKS), project / "own/base")
    remote = {"path": "m", "engine": "openai", "url": server.url, "shards": 2}
    params = yaml.safe_load((ROOT / "examples/paper.yaml").read_text())
    params |= {
        "base": "base",
        "environments": {},
        "models": {"base": {"path": "./own/base", "engine": "transformers"}, "remote": remote},
        "policy": {"require": []},
        "seed": {"samples": 60},
        "reconstruct": {"sampling": {"max_tokens": 12}},
        "generate": {"samples": 1, "models": {"remote": {}}},
        "evaluate": {"suites": {"domain": params["evaluate"]["suites"]["domain"]}},
        "score": {"method": "parse", "judges": {"remote": {}}, "sampling": {"temperature": 0.0}},
    }
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    server.answer = lambda body: "Score: 4" if "1 to 5" in str(body["messages"]) else None
    return project


def holdfast(project: Path, *words: str, status: int = 0) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "PYTEST_"))}
    done = subprocess.run(
        [*words], cwd=project, capture_output=True, text=True, timeout=560,
        env=environment | {"PATH": f"{BIN}:{environment['PATH']}", "PYTHONPATH": "src"},
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_pilot_is_the_first_rows_of_the_build(project: Path, server: Server) -> None:
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    text = holdfast(project, "python", "-m", "holdfast.cli", "pilot", "--rows", "12")
    assert "12 samples" in text
    assert "Page: " in text
    page = project / ".holdfast/pilot/pilot.html"
    assert "Pilot: 12 samples" in page.read_text()
    recorded = yaml.safe_load((project / "dvc.lock").read_text())["stages"]
    assert set(recorded) == {"workflow"}, "nothing is recorded as built"
    assert not (project / "data/reconstruct").exists()
    planned = json.loads(holdfast(project, "python", "-m", "holdfast.cli", "plan", "--json"))
    [sampling] = next(step["rows"] for step in planned if step["stage"] == "reconstruct")
    assert (sampling["asked"], sampling["reused"]) == (48, 12)
    before = server.answered.copy()
    assert before
    holdfast(project, "snakemake", "--cores", "2", "--quiet", "all", "--", "data/filter/selected.parquet")
    assert set(server.tries.values()) == {1}, "what the pilot asked is not asked again"
    assert server.answered.total() > before.total()
    whole, part = (pl.read_parquet(at / "data/reconstruct/samples.parquet") for at in (project, page.parent))
    assert len(whole) == 60
    assert part.sort("sample_id").equals(
        whole.filter(pl.col("sample_id").is_in(part["sample_id"].implode())).sort("sample_id")
    )
    answers, piloted = (pl.read_parquet(at / "data/generate/remote.parquet") for at in (project, page.parent))
    assert set(piloted["candidate_id"]) <= set(answers["candidate_id"])
    asked = server.tries.total()
    holdfast(project, "python", "-m", "holdfast.cli", "pilot", "--rows", "12")
    assert server.tries.total() == asked, "a pilot that is run again asks nothing"


def test_a_pilot_shows_what_an_unfit_judge_replies(project: Path, server: Server) -> None:
    """A judge without a single score ends the chain; what was asked, answered and replied is shown."""
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    server.answer = lambda body: "What a fine answer!" if "1 to 5" in str(body["messages"]) else "blue"
    text = holdfast(project, "python", "-m", "holdfast.cli", "pilot", "--rows", "12", status=1)
    assert "judge remote: " in text
    assert "replies are no score: 'What a fine answer!' (" in text
    assert "score.judges" in text
    asked = pl.read_parquet(project / ".holdfast/pilot/data/clean/instructions.parquet").sort("instruction_id")
    assert all(row.strip().split("\n")[0][:40] in text for row in asked["instruction"].head(5))
    assert "nothing was selected  remote (no judge gave a score)" in text
    assert "no candidate was kept" in text
    assert "Next:" not in text
    page = (project / ".holdfast/pilot/pilot.html").read_text()
    assert "What a fine answer!" in page
