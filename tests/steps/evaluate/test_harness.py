"""Suites of the evaluation harness: what a killed run has answered is not asked again, and nothing else is reused."""

import json
import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from models import ROOT, tiny_model

TASKS = {
    "choices": {"output_type": "multiple_choice", "doc_to_choice": "{{choices}}", "doc_to_target": "{{answer}}"},
    "written": {
        "output_type": "generate_until",
        "doc_to_target": "{{text}}",
        "generation_kwargs": {"until": ["\n"], "max_gen_toks": 4},
        "metric_list": [{"metric": "exact_match"}],
    },
}
ITEMS = 150
REQUESTS = 3 * ITEMS  # one for each choice


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with params.yaml of a tiny model and a suite of two tasks of ITEMS items."""
    rows = [
        {
            "question": f"What is {i} + 1?",
            "choices": ["much", "little", f"{i + 1}"],
            "answer": i % 3,
            "text": str(i + 1),
        }
        for i in range(ITEMS)
    ]
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "tasks").mkdir()
    data = {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(tmp_path / "items.jsonl")}}}
    for name, task in TASKS.items():
        task = {"task": name, "test_split": "test", "doc_to_text": "{{question}}"} | data | task
        (tmp_path / "tasks" / f"{name}.yaml").write_text(yaml.safe_dump(task))
    write_params(tmp_path, {"tasks": [*TASKS]})
    return tmp_path


def write_params(project: Path, *suites: dict[str, Any]) -> None:
    base = {"path": str(tiny_model()), "engine": "transformers", "engine_args": {"dtype": "float32"}}
    shared = {"kind": "lm_eval", "include_path": "tasks", "batch_size": 2}
    evaluate = {"suites": {f"suite{number}": shared | suite for number, suite in enumerate(suites)}}
    params = {"base": "base", "models": {"base": base}, "evaluate": evaluate}
    (project / "params.yaml").write_text(yaml.safe_dump(params))


def start(project: Path, log: Path) -> subprocess.Popen[bytes]:
    command = [str(ROOT / "envs/in-env"), "inference", "python", "-m", "holdfast.steps.evaluate"]
    command += ["--params", "base,evaluate,models.base", "--arm", "base", "--model", str(tiny_model())]
    command += ["--table", "base.parquet", "--samples", "base.jsonl", "--metrics", "base.json"]
    with log.open("wb") as file:
        cache = os.environ | {"HF_DATASETS_CACHE": str(project / "datasets")}
        return subprocess.Popen(
            command, cwd=project, stdout=file, stderr=subprocess.STDOUT, start_new_session=True, env=cache
        )


def finished(project: Path) -> tuple[pl.DataFrame, dict[str, int]]:
    """The table of a run, and how many requests of each kind the harness's own progress says the model was asked."""
    log = project / "log"
    assert start(project, log).wait(300) == 0, log.read_text()
    return pl.read_parquet(project / "base.parquet"), asked(log)


def asked(log: Path) -> dict[str, int]:
    """Requests done, by kind, in the harness's progress bars: each begins at 0."""
    text = log.read_text(errors="replace").replace("\r", "\n")
    count: Counter[str] = Counter()
    latest = {}
    for kind, now in re.findall(r"Running (\w+) requests: .*? (\d+)/\d+", text):
        count[kind] += int(now) - (latest.get(kind, 0) if int(now) else 0)
        latest[kind] = int(now)
    return dict(count)


def killed(project: Path, kind: str, answers: int) -> int:
    """Run until so many requests of a kind are answered, and kill -9 all its processes; returns how many were."""
    log = project / "log.killed"
    process = start(project, log)
    try:
        for _ in wait():
            if asked(log).get(kind, 0) >= answers:
                break
            assert process.poll() is None, log.read_text()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert not (project / "base.parquet").exists()
    return asked(log)[kind]


def wait() -> Iterator[None]:
    end = time.monotonic() + 300
    while time.monotonic() < end:
        yield
        time.sleep(0.01)
    raise AssertionError("nothing was answered")


@pytest.mark.engine
def test_after_a_kill_only_the_remaining_requests_are_asked(project: Path) -> None:
    answered = killed(project, "generate_until", 20)
    for tail in project.glob(".holdfast/journal/*/*.tail"):
        with tail.open("ab") as file:
            file.write(b'0123456789abcdef ["torn')
    table, rest = finished(project)
    assert "loglikelihood" not in rest, "all of them were answered before the kill"
    assert 0 < rest["generate_until"] <= ITEMS - answered

    sealed = sorted(project.glob(".holdfast/journal/*/*.parquet"))
    content = bytearray(sealed[0].read_bytes())
    content[len(content) // 2] ^= 1
    sealed[0].write_bytes(content)
    repaired, again = finished(project)
    assert again["loglikelihood"] == REQUESTS, "the damaged answers are asked again"
    for path in project.glob(".holdfast/journal/*/*.parquet"):
        path.unlink()
    undisturbed, everything = finished(project)
    assert everything == {"loglikelihood": REQUESTS, "generate_until": ITEMS}
    assert table.equals(repaired)
    assert table.equals(undisturbed)


@pytest.mark.engine
def test_only_equal_requests_are_answered_by_the_journal(project: Path) -> None:
    """Suites run by name. What is sampled is asked each time: it depends on the requests before it."""
    task = yaml.safe_load((project / "tasks/written.yaml").read_text())
    task["generation_kwargs"]["temperature"] = 1.0
    (project / "tasks/written.yaml").write_text(yaml.safe_dump(task))
    choices, written = ({"tasks": [task], "limit": 10} for task in TASKS)
    suites = [choices, choices, choices | {"limit": 12}, choices | {"chat": False}, written, written]
    write_params(project, *suites)
    table, requests = finished(project)
    assert requests == {"loglikelihood": 30 + 0 + 6 + 30, "generate_until": 10 + 10}
    first, second = (table.filter(suite=name).drop("suite") for name in ("suite4", "suite5"))
    assert first.equals(second)
