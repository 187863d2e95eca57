"""Shards of an evaluation: the table is that of one job, and no request is asked twice."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from models import ROOT, tiny_model

pytestmark = pytest.mark.engine
ITEMS = 60


def project(folder: Path, shards: int) -> Path:
    """A tiny model with a suite of items and a suite of the harness, in a folder of its own."""
    (folder / "tasks").mkdir(parents=True)
    items = [{"prompt": f"What is {i} + 1?", "answer": str(i + 1)} for i in range(ITEMS)]
    (folder / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in items))
    task = {
        "task": "sums", "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(folder / "items.jsonl")}},
        "test_split": "test", "doc_to_text": "{{prompt}}", "output_type": "multiple_choice",
        "doc_to_choice": "{{[answer, 'many', 'none']}}", "doc_to_target": "{{0}}",
    }  # fmt: skip
    (folder / "tasks/sums.yaml").write_text(yaml.safe_dump(task))
    base = {"path": str(tiny_model()), "engine": "transformers", "engine_args": {"dtype": "float32"}, "shards": shards}
    suites = {
        "general": {"kind": "exact", "path": "items.jsonl", "measures": "general", "max_tokens": 4},
        "harness": {"kind": "lm_eval", "tasks": ["sums"], "include_path": "tasks", "batch_size": 2},
    }
    params = {"base": "base", "models": {"base": base}, "evaluate": {"suites": suites}}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    return folder


def run(folder: Path, module: str, *words: str) -> str:
    command = [str(ROOT / "envs/in-env"), "inference", "python", "-m", module, "--params", "base,evaluate,models.base"]
    command += ["--arm", "base", "--model", str(tiny_model()), *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_table_of_shards_is_that_of_one_job(tmp_path: Path) -> None:
    outputs = ("--table", "base.parquet", "--samples", "base.jsonl", "--metrics", "base.json")
    dealt, whole = project(tmp_path / "dealt", 2), project(tmp_path / "whole", 1)
    done = []
    for number in (1, 2):
        run(dealt, "holdfast.steps.evaluate.shard", "--shard", f"{number}/2", "--done", f"{number}.json")
        done.append(json.loads((dealt / f"{number}.json").read_text()))
    assert all(shard["rows"] > 0 for shard in done)
    assert sum(shard["rows"] for shard in done) == ITEMS + 3 * ITEMS
    said = run(dealt, "holdfast.steps.evaluate", *outputs)
    assert "none asked" in said
    assert f"{3 * ITEMS} requests of {3 * ITEMS} (loglikelihood) answered by the journal" in said
    run(whole, "holdfast.steps.evaluate", *outputs)
    assert (dealt / "base.parquet").read_bytes() == (whole / "base.parquet").read_bytes()
