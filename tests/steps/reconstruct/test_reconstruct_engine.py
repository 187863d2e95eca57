"""The reconstruct step with a real engine."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from chain import ask_apart
from holdfast.chat.user_turns import user_turns
from holdfast.common.tables import SAMPLES
from models import ROOT, tiny_model


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reconstruct")
    model = {"path": str(tiny_model()), "engine": "transformers"}
    drawn = {"temperature": 1.0, "top_p": 0.98, "max_tokens": 60}
    params = {
        "random_seed": 0,
        "base": "base",
        "models": {"base": model},
        "seed": {"samples": 200, "slices": {"a": {"share": 3.0}, "b": {"share": 1.0}}},
        "reconstruct": {"sampling": drawn, "multi_turn": {"share": 1.0, "max_turns": 2, "answer": drawn}},
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    shared = ["--params", "random_seed,base,seed,models.base,reconstruct", "--prompts", "prompts.parquet"]
    step(folder, sys.executable, "-m", "holdfast.steps.seed", *shared)
    words = ["python", "-m", "holdfast.steps.reconstruct", *shared, "--samples", "s.parquet"]
    (folder / "said").write_text(step(folder, ROOT / "envs/in-env", "inference", *words))
    return folder


def step(folder: Path, *words: Any) -> str:
    env = {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, env=os.environ | env)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.engine
def test_a_real_engine_speaks_as_user_assistant_and_user_again(project: Path) -> None:
    table = pl.read_parquet(project / "s.parquet")
    assert table.schema == SAMPLES
    assert table["sample_id"].n_unique() == len(table) == 200
    assert table["finish_reason"].is_in(["stop", "length"]).all()
    longer = table.filter(pl.col("turn") == 2)
    assert len(longer) > 0
    assert (
        "conversations could not be extended: the answer did not end, is empty or contains a control token"
        in (project / "said").read_text()
    )
    for row in longer.iter_rows(named=True):
        assert [message["role"] for message in row["messages"]] == ["user", "assistant"]
        assert all(message["content"].strip() for message in row["messages"])
        assert row["finish_reason"] == "stop"
        assert "<|end|>" not in row["text"]
    assert (table.filter(pl.col("turn") == 1)["messages"].list.len() == 0).all()


@pytest.mark.engine
def test_again_from_an_empty_journal_gives_the_same_bytes(project: Path) -> None:
    before = (project / "s.parquet").read_bytes()
    prompts_table = pl.read_parquet(project / "prompts.parquet")
    prompts_table.reverse().write_parquet(project / "reversed.parquet")
    (project / ".holdfast").rename(project / "journal_of_the_first_run")
    words = [
        "--params",
        "random_seed,base,seed,models.base,reconstruct",
        "--prompts",
        "reversed.parquet",
        "--samples",
        "s.parquet",
    ]
    step(project, ROOT / "envs/in-env", "inference", "python", "-m", "holdfast.steps.reconstruct", *words)
    assert (project / "s.parquet").read_bytes() == before


@pytest.mark.engine
def test_a_real_engine_without_a_chat_template_goes_on_after_the_examples(tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny_model(), base)
    (base / "chat_template.jinja").unlink()
    examples = [f"Name {k} things." for k in range(6)]
    (tmp_path / "examples.jsonl").write_text("".join(json.dumps({"instruction": text}) + "\n" for text in examples))
    params = {
        "random_seed": 0,
        "base": "base",
        "models": {"base": {"path": "./base", "engine": "vllm", "engine_args": {"dtype": "float32"}}},
        "seed": {"samples": 100, "examples": "examples.jsonl", "examples_per_prompt": 3, "example_prompts": 8},
        "reconstruct": {"sampling": {"temperature": 1.0, "max_tokens": 60}},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    shared = ["--params", "random_seed,base,seed,models.base,reconstruct", "--prompts", "prompts.parquet"]
    step(tmp_path, sys.executable, "-m", "holdfast.steps.seed", *shared)
    job = ["python", "-m", "holdfast.steps.reconstruct", *shared, "--samples", "s.parquet"]
    step(tmp_path, ROOT / "envs/in-env", "inference", *job)
    asked, drawn = pl.read_parquet(tmp_path / "prompts.parquet"), pl.read_parquet(tmp_path / "s.parquet")
    assert asked["kind"].unique().to_list() == ["in_context"]
    assert all(sum(text in prefix for text in examples) == 3 for prefix in asked["prefix_text"])
    assert drawn.schema == SAMPLES
    assert len(drawn) == asked["samples"].sum() == 100
    turns = user_turns(drawn.lazy(), asked.lazy()).collect()
    assert turns["ended"].any()
    assert turns["instruction"].null_count() == 0


REFERENCE = """
import json, sys, torch
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
totals = []
for ids in json.loads(sys.argv[2]):
    ends = {"eos_token_id": [3, 4], "pad_token_id": 0}
    made = model.generate(torch.tensor([ids]), max_new_tokens=12, do_sample=False, **ends)[0]
    odds = torch.log_softmax(model(made[None]).logits[0, :-1], -1)
    totals.append(sum(odds[at, made[at + 1]].item() for at in range(len(ids) - 1, len(made) - 1)))
print(json.dumps(totals))
"""


@pytest.mark.engine
def test_the_log_probability_is_that_of_all_tokens_written(tmp_path: Path) -> None:
    prompts_ids = [[1, 2, 80 + k, 81, 90 - k] for k in range(6)]
    greedy = {"temperature": 0.0, "max_tokens": 12}
    asked = [
        {"id": str(k), "prompt_ids": ids, "sampling": greedy, "own_logprob": True} for k, ids in enumerate(prompts_ids)
    ]
    code = [ROOT / "envs/in-env", "inference", "python", "-c", REFERENCE, tiny_model(), json.dumps(prompts_ids)]
    expected = json.loads(step(tmp_path, *code).splitlines()[-1])
    for engine in ("vllm", "transformers"):
        (tmp_path / engine).mkdir()
        model = {"path": str(tiny_model()), "engine": engine, "engine_args": {"max_model_len": 256}}
        (found,) = ask_apart(tmp_path / engine, [{"model": model, "requests": asked}])
        assert not isinstance(found, str)
        assert found["logprobs"].list.first().to_list() == pytest.approx(expected, abs=2e-3)
