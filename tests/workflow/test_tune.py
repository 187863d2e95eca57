"""`holdfast tune` on the real rules, with steps of the tests' own in place of training and evaluation.

The general accuracy of an arm grows with its share of rehearsal, and keeps the limit from 0.55 on.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
import yaml

from holdfast.common.tables import SELECTED
from mixing import selection
from small_tokenizers import tokenizer
from templates import SHAPES
from toy_project import BIN, ROOT

pytestmark = pytest.mark.workflow

TRAIN = """
import os, time
from pathlib import Path
from holdfast.common.step import arguments
args = arguments("", "run", "base", "recipe", "train", "val", "model", "curve")
outside, rows = Path(os.environ["OUTSIDE"]), Path(args.train).read_text().splitlines()
with (outside / "ran").open("a") as file:
    file.write(f"train {args.run}\\n")
while (outside / f"hang-{args.run}").exists():
    time.sleep(0.05)
Path(args.model).mkdir(parents=True)
Path(args.model, "share").write_text(str(sum('"source": "rehearsal"' in row for row in rows) / len(rows)))
Path(args.curve).parent.mkdir(parents=True, exist_ok=True)
Path(args.curve).write_text("step,epoch,loss,eval_loss\\n1,1.0,0.5,\\n")
"""
EVALUATE = """
import os
from pathlib import Path
import polars as pl
from holdfast.common.files import write_json, write_table, write_text
from holdfast.common.step import arguments
from holdfast.common.tables import EVALUATIONS
args = arguments("", "arm", "model", "table", "metrics", "samples")
with Path(os.environ["OUTSIDE"], "ran").open("a") as file:
    file.write(f"evaluate {args.arm}\\n")
trained = Path(args.model, "share").exists()
kept = 0.45 + float(Path(args.model, "share").read_text()) if trained else 1.0
rows = [{"suite": "general", "task": "t", "item_id": f"{i:03d}", "correct": i / 200 < kept} for i in range(200)]
rows += [{"suite": "domain", "task": "t", "item_id": f"{i:03d}", "correct": trained} for i in range(200)]
table = pl.DataFrame([{key: None for key in EVALUATIONS} | row for row in rows], schema=EVALUATIONS)
write_table(table, args.table, EVALUATIONS)
write_text("", args.samples)
write_json({}, args.metrics)
"""
RECIPE = """
from holdfast.common.files import write_text
from holdfast.common.step import arguments
write_text("{}", arguments("", "section", "base", "recipe").recipe)
"""
RECORD = """
import sys
from pathlib import Path
from holdfast.build import staleness
from holdfast.build.plan import chain_order
versions, _ = staleness.look()
for name in chain_order(versions.stages):
    if name.split("-")[0] not in ("mix", "recipe", "train", "evaluate", "report"):
        for out in versions.stages[name]["outs"]:
            Path(out).parent.mkdir(parents=True, exist_ok=True)
            Path(out).touch()
        versions.record(name)
"""


class Project:
    def __init__(self, folder: Path) -> None:
        self.folder, self.outside = folder, folder.parent / "outside"
        self.outside.mkdir()

    def start(self, *command: str) -> subprocess.Popen[str]:
        """As a user with an activated environment, and nothing else set."""
        kept = {key: os.environ[key] for key in ("HOME", "HOLDFAST_ENVS", "XDG_CACHE_HOME") if key in os.environ}
        environment = kept | {"PATH": f"{BIN}:{os.environ['PATH']}", "OUTSIDE": str(self.outside)}
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL, "text": True}
        return subprocess.Popen(command, cwd=self.folder, env=environment, **options)  # type: ignore[call-overload]

    def run(self, *command: str, status: int = 0) -> str:
        process = self.start(*command)
        said = process.communicate(timeout=560)[0]
        assert process.returncode == status, said
        return said

    def ran(self) -> list[str]:
        """What was trained and evaluated since the last call."""
        lines = self.trace()
        (self.outside / "ran").unlink(missing_ok=True)
        return lines

    def trace(self) -> list[str]:
        return (self.outside / "ran").read_text().splitlines() if (self.outside / "ran").exists() else []

    def state(self) -> dict[str, bytes]:
        return {name: (self.folder / name).read_bytes() for name in ("params.yaml", "dvc.yaml", "dvc.lock")}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Built up to the evaluations of domain_only and rehearsed; what comes before `mix` was never run."""
    found = Project(tmp_path / "project")
    folder = found.folder
    for name in ("src", "rules", "envs", "profiles", "examples", "data/seed"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Snakefile", ".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for name, text in {"train/__main__": TRAIN, "train/recipe": RECIPE, "evaluate/__main__": EVALUATE}.items():
        (folder / f"src/holdfast/steps/{name}.py").write_text(text)
    tokenizer(SHAPES["chatml"]).save_pretrained(folder / "own/base")
    (folder / "own/base/config.json").write_text(json.dumps({"model_type": "llama"}))
    questions = [f'{{"question": "Which is word {i}?", "answer": "This is word {i}."}}\n' for i in range(40)]
    (folder / "own/domain.jsonl").write_text("".join(questions))
    for name in ("general", "suite"):
        (folder / f"own/{name}.jsonl").write_text('{"prompt": "Is this the test?", "answer": "It is."}\n')
    params = yaml.safe_load((ROOT / "examples/paper.yaml").read_text())
    params |= {
        "base": "base",
        "environments": {"inference": "core", "training": "core"},
        "models": {"base": {"path": "./own/base", "engine": "transformers"}},
        "policy": {"require": []},
        "generate": {"models": {"base": {}}},
        "score": {"judges": {"base": {}}},
        "sources": {"domain": {"path": "own/domain.jsonl"}},
        "arms": {"domain_only": {"sources": {"domain": 1.0}}, "rehearsed": {"sources": {"rehearsal": 4, "domain": 1}}},
        "train": {"sequence_len": 512},
        "evaluate": {"suites": {"general": {"kind": "exact", "path": "own/general.jsonl"},
                                "domain": {"kind": "exact", "path": "own/suite.jsonl", "measures": "domain"}}},
        "report": {"limits": {"general_loss": 5.0, "domain_gain": 50.0}},
    }  # fmt: skip
    text = yaml.safe_dump(params, sort_keys=False).replace("arms:\n", "arms: # mine\n")
    (folder / "params.yaml").write_text(text)
    (folder / "data/filter").mkdir()
    table = pl.DataFrame([{key: selection(i).get(key) for key in SELECTED} for i in range(400)], schema=SELECTED)
    table.write_parquet(folder / "data/filter/selected.parquet")
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    subprocess.run(
        [sys.executable, "-c", RECORD], cwd=folder, env=os.environ | {"PYTHONPATH": str(folder / "src")}, check=True
    )
    return found


def test_a_search_is_killed_resumed_and_used(project: Project) -> None:
    refused = project.run("holdfast", "tune", status=1)
    assert "base and rehearsed is not up to date" in refused
    assert "snakemake --cores all" in refused
    built = [f"data/evaluate/{arm}.parquet" for arm in ("base", "domain_only", "rehearsed")]
    project.run("snakemake", "--quiet", "all", "--", *built)
    assert len(project.ran()) == 5
    before = project.state()
    search = ("holdfast", "tune", "--precision", "0.1")
    asked = project.run(*search, status=1)
    assert "between 0 (domain_only, built) and 0.8 (rehearsed, built), to 0.1; at most 3 arms to train" in asked
    assert "--yes starts without asking" in asked

    (project.outside / "hang-rehearsed_60").touch()
    first = project.start(*search, "--yes")
    deadline = time.monotonic() + 300
    while "train rehearsed_60" not in project.trace():
        assert first.poll() is None, first.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    second = project.run(*search, "--yes", status=1)
    assert f"holdfast tune, process {first.pid}" in second
    os.kill(first.pid, signal.SIGKILL)
    (project.outside / "hang-rehearsed_60").unlink()
    first.wait()
    assert project.ran() == ["train rehearsed_40", "evaluate rehearsed_40", "train rehearsed_60"]
    said = project.run(*search, "--yes")
    assert "reused train-rehearsed_40" in said
    assert "generate-base" not in said, "what the arms share is there from the start"
    ran = project.ran()
    assert [line for line in ran if "rehearsed_60" not in line] == ["train rehearsed_50", "evaluate rehearsed_50"]
    assert re.search(r"0\.5 +rehearsed_50 .* misses general_loss", said), said
    assert "Found: 0.6 (rehearsed_60) keeps general_loss at most 5 points" in said
    assert "and 0.5 does not" in said
    assert project.state() == before, "only --write changes them"

    project.run(*search, "--yes", "--write")
    assert project.ran() == []
    text = (project.folder / "params.yaml").read_text()
    added = (
        "  rehearsed_60: # `holdfast tune --precision 0.1` of rehearsed\n    sources: {rehearsal: 0.6, domain: 0.4}\n"
    )
    assert text.replace(added, "") == before["params.yaml"].decode()
    project.run("snakemake", "--quiet", "all", "--", "data/evaluate/rehearsed_60.parquet")
    assert project.ran() == [], "what was trained is taken from the cache"
    assert "several arms have rehearsal: rehearsed (0.8), rehearsed_60 (0.6)" in project.run(
        "holdfast", "tune", status=1
    )
