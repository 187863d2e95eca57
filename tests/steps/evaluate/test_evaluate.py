"""The evaluate step: what is asked, how it is graded, and one run with real engines."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from holdfast.chat.dates import FIXED_DATE
from holdfast.common.tables import EVALUATIONS
from holdfast.inference.params import Model, Sampling
from holdfast.steps.evaluate.clusters import document_cluster
from holdfast.steps.evaluate.grading import graded, summarise
from holdfast.steps.evaluate.harness import chat_tokenizer
from holdfast.steps.evaluate.params import Evaluate
from holdfast.steps.evaluate.requests import judge_requests, questions, requests
from models import ROOT, taught_model, tiny_model

SUITES = {
    "sums": {"kind": "exact", "path": "sums.jsonl"},
    "choices": {"kind": "multiple_choice", "path": "choices.jsonl", "measures": "domain"},
    "open": {"kind": "judge", "path": "open.jsonl", "judge": "base", "rubric": "rubric.md", "max_tokens": 5},
}


@pytest.fixture
def suites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three suites of two items each, in the current folder."""
    monkeypatch.chdir(tmp_path)
    rows: dict[str, list[dict[str, Any]]] = {
        "sums": [
            {"item_id": f"{i}", "task": "plus", "cluster": 7, "prompt": f"{i} + {i}?", "answer": str(2 * i)}
            for i in (1, 2)
        ],
        "choices": [
            {"item_id": f"{i}", "prompt": f"{i}?", "choices": ["no", "yes"], "answer": 1, "passage": "So."}
            for i in (1, 2)
        ],
        "open": [
            {"item_id": "1", "prompt": "Why?"},
            {
                "item_id": "2",
                "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How?"}],
            },
        ],
    }
    for name, items in rows.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    (tmp_path / "rubric.md").write_text("Five is best.")
    return tmp_path


def replies(asked: dict[str, Any], answers: dict[tuple[str, str], str], **given: Any) -> pl.DataFrame:
    """What a model would say: `answers` by suite and item, an error where there is none."""
    rows = []
    for request_id, (suite, _, item) in asked.items():
        text = answers.get((suite, item.item_id))
        error = None if text is not None else "prompt_too_long"
        likelihoods = [-3.0, -0.1] if suite == "choices" else None
        rows.append((request_id, text, "stop", error, likelihoods))
    schema = {"id": pl.String, "text": pl.String, "finish_reason": pl.String, "error": pl.String}
    return pl.DataFrame(rows, schema={**schema, "logprobs": pl.List(pl.Float64)}, orient="row")


def test_every_item_is_asked_once_with_its_own_bound(suites: Path) -> None:
    asked = questions(Evaluate.model_validate({"suites": SUITES}))
    made = list(requests(asked, Sampling(temperature=0.0, max_tokens=64)))
    assert [r.id for r in made] == list(asked)
    bounds = {asked[r.id][0]: (r.sampling.max_tokens, r.logprobs_of) for r in made}
    assert bounds == {"sums": (64, ()), "choices": (1, ("A", "B")), "open": (5, ())}


def test_a_grade_that_cannot_be_given_is_null_and_counted(suites: Path) -> None:
    asked = questions(Evaluate.model_validate({"suites": SUITES}))
    said = replies(asked, {("sums", "1"): " 2 ", ("choices", "1"): "B", ("choices", "2"): "A", ("open", "1"): "So."})
    judged = {
        request_id: 4.5 for request_id, (suite, _, item) in asked.items() if (suite, item.item_id) == ("open", "1")
    }
    table = graded(asked, said, judged)
    assert table.schema == EVALUATIONS
    marks = {(row["suite"], row["item_id"]): row["correct"] for row in table.iter_rows(named=True)}
    expected = {("sums", "1"): True, ("sums", "2"): None, ("choices", "1"): True, ("choices", "2"): True}
    assert marks == expected | {("open", "1"): True, ("open", "2"): None}
    assert table.filter(pl.col("item_id") == "1", pl.col("suite") == "open")["score"].item() == pytest.approx(0.875)
    figures = summarise(table, {name: suite.get("measures", "general") for name, suite in SUITES.items()})
    assert figures["general"] == {"accuracy": 1.0, "n": 2, "ungraded": 2, "truncated": 0}
    assert figures["domain"]["n"] == 2
    assert figures["suites"]["sums"]["tasks"]["plus"]["n"] == 1


def test_the_judge_sees_what_the_model_saw_and_said(suites: Path) -> None:
    asked = questions(Evaluate.model_validate({"suites": SUITES}))
    answers = {request_id: "Thus." for request_id, (suite, _, _) in asked.items() if suite == "open"}
    made = list(judge_requests(asked, answers, "base", {"open": "Five is best."}))
    assert {r.id for r in made} == set(answers)
    texts = "".join(r.messages[0][1] for r in made if r.messages)
    assert all(part in texts for part in ("Five is best.", "Be brief.", "How?", "Thus."))
    assert not list(judge_requests(asked, answers, "another", {}))


def test_questions_on_one_text_or_of_one_group_belong_together() -> None:
    asked = {"passage": "Once upon a time.", "question": "When?"}
    one = document_cluster("a", asked, "1")
    assert document_cluster("b", asked | {"question": "Who?", "passage": " Once upon a time. "}, "2") == one
    assert document_cluster("a", asked | {"passage": "In those days."}, "3") != one
    grouped = [document_cluster(task, {"article_id": 5, "article": text}, text) for task, text in ("as", "at", "bs")]
    assert grouped[0] == grouped[1] != grouped[2]
    alone = ({"question": "When?"}, {"passage": " ", "group": None}, ["a list"], {"context": ["a", "list"]})
    assert [document_cluster("a", doc, "own") for doc in alone] == ["own"] * 4


HARNESS_TASK = """
task: tiny_choice
dataset_path: json
dataset_kwargs: {data_files: {test: choices.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{prompt}}"
doc_to_choice: choices
doc_to_target: answer
metric_list: [{metric: acc}]
"""


def test_the_harness_renders_as_the_other_suites_do(tmp_path: Path) -> None:
    path = str(shutil.copytree(tiny_model(), tmp_path / "base"))
    dated = "{{ strftime_now('%Y-%m-%d') }}{% for m in messages %}{{ m.role }}:{{ m.content[0].text }}{% endfor %}"
    (tmp_path / "mine.jinja").write_text(dated)
    asked = [{"role": "user", "content": "Hi"}]
    own, given = (chat_tokenizer(Model(path=path, chat_template=t)) for t in (None, str(tmp_path / "mine.jinja")))
    assert "<|start|>user\nHi<|end|>" in own.apply_chat_template(asked, tokenize=False)
    assert given.apply_chat_template(asked, tokenize=False) == f"{FIXED_DATE}user:Hi"


def evaluate(arm: str, path: str) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / "envs" / "in-env"), "inference", "python", "-m", "holdfast.steps.evaluate"]
    command += ["--params", "base,evaluate,models.base", "--arm", arm, "--model", path, "--table", f"{arm}.parquet"]
    command += ["--samples", f"{arm}.jsonl", "--metrics", f"{arm}.json"]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.mark.engine
def test_what_a_template_writes_before_an_answer_is_not_graded(suites: Path) -> None:
    """Mistral's writes a space, so a pattern that starts at the answer's start would never match."""
    model = str(taught_model("mistral_v1", {"1?": "Zero is nothing.", "2?": "    return 1"}))
    rows = [{"item_id": "1", "prompt": "1?", "answer": "^Zero"}, {"item_id": "2", "prompt": "2?", "answer": "^    ret"}]
    Path("patterns.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    base = {"path": model, "engine": "transformers"}
    params = {"base": "base", "models": {"base": base}}
    suite = {"kind": "regex", "path": "patterns.jsonl", "max_tokens": 20}
    params["evaluate"] = {"sampling": {"temperature": 0.0}, "suites": {"patterns": suite}}
    (suites / "params.yaml").write_text(yaml.safe_dump(params))
    done = evaluate("base", model)
    assert done.returncode == 0, done.stderr
    table = pl.read_parquet("base.parquet")
    assert table["answer"].to_list() == ["Zero is nothing.", "    return 1"]
    assert table["correct"].to_list() == [True, True]


@pytest.mark.engine
def test_a_run_with_real_engines(suites: Path) -> None:
    """vLLM answers and judges, the harness runs a task of our own, and both end in one table."""
    model = tiny_model()
    (suites / "tasks").mkdir()
    (suites / "tasks" / "tiny_choice.yaml").write_text(HARNESS_TASK)
    harness = {"kind": "lm_eval", "tasks": ["tiny_choice"], "include_path": "tasks"}
    base = {"path": str(model), "engine_args": {"dtype": "float32", "max_model_len": 512}}
    params = {"base": "base", "models": {"base": base}}
    params["evaluate"] = {"sampling": {"temperature": 0.0, "max_tokens": 8}, "suites": SUITES | {"harness": harness}}
    (suites / "params.yaml").write_text(yaml.safe_dump(params))
    (suites / "models").mkdir()
    (suites / "models" / "arm").symlink_to(model)

    done = evaluate("arm", "models/arm")
    assert done.returncode == 0, done.stderr
    table = pl.read_parquet("arm.parquet")
    assert table.schema == EVALUATIONS
    assert dict(table["suite"].value_counts().iter_rows()) == {"sums": 2, "choices": 2, "open": 2, "harness": 2}
    assert table.filter(pl.col("suite") == "harness")["expected"].to_list() == ["yes", "yes"]
    assert table.group_by("suite").agg(pl.col("cluster").drop_nulls().n_unique()).sort("suite").rows() == [
        ("choices", 0),
        ("harness", 1),
        ("open", 0),
        ("sums", 1),
    ]
    assert table.filter(pl.col("suite") != "open")["correct"].null_count() == 0
    logged = [json.loads(line) for line in Path("arm.jsonl").read_text().splitlines()]
    assert [sample["suite"] for sample in logged] == ["harness", "harness"]
    assert json.loads(Path("arm.json").read_text())["suites"]["harness"]["n"] == 2

    (suites / "models" / "adapter").mkdir()
    refused = evaluate("adapter", "models/adapter")
    assert refused.returncode == 1
    assert "error: models/adapter: is not a complete model" in refused.stderr

    (suites / "tasks" / "tiny_choice.yaml").write_text(HARNESS_TASK.replace("choices.jsonl", "nowhere.jsonl"))
    failed = evaluate("again", "models/arm")
    assert failed.returncode == 1
    assert "error: evaluate.suites.harness: the harness failed: FileNotFoundError" in failed.stderr
    assert not {"adapter.parquet", "again.parquet", "again.json"} & {file.name for file in suites.iterdir()}
