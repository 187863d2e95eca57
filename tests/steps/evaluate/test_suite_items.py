"""What the tasks of the harness ask, and that it is kept out of what is trained on."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from holdfast.steps.evaluate.suite_items import fields, task_items, unframed
from holdfast.text.benchmark_items import Item, suite_items
from models import ROOT

WORDS = st.lists(st.sampled_from(["what", "is", "3", "+", "the", "sea?"]), min_size=1, max_size=5)
FRAME = st.just([]) | st.lists(st.sampled_from(["Answer:", "this", "Question:", "now"]), min_size=5, max_size=8)


@given(FRAME, FRAME, st.lists(WORDS, min_size=10, max_size=20))
def test_a_long_frame_of_all_prompts_is_no_item(before: list[str], after: list[str], own: list[list[str]]) -> None:
    assume(all(len({words[at] for words in own}) > 1 for at in (0, -1)))
    texts = [" ".join([*before, *words, *after]) for words in own]
    assert unframed(texts) == [" ".join(words) for words in own]
    assert unframed(texts[:9]) == texts[:9]  # of so few nobody can tell


def test_a_short_frame_stays() -> None:
    texts = [f"Q: what is {k} plus 4? A:" for k in range(10)]
    assert unframed(texts) == texts


def test_the_bare_question_is_an_item_and_its_subject_is_not() -> None:
    doc = {
        "question": "Who rules?",
        "passage": "Long ago there was a queen in the west.",
        "subject": "queen",
        "answer": "A queen",
        "cot": "She is not in the prompt at all, so she rules.",
        "options": ["A queen", "A king"],
    }
    prompt = "Long ago there was a queen in the west. Which is it? Who rules?\nA queen\nA king"
    assert fields(doc, [prompt]) == [doc["passage"]]
    assert fields({"question": "Who rules?", "subject": "us"}, ["Who rules?\nA. you\nB. us"]) == ["Who rules?"]
    assert fields("a text", ["a text"]) == []
    asked = "Please give the answer to this:"
    rows = [(f"{k}", [f"{asked} {k} plus?\nA:"], [asked, f"{k} plus?"]) for k in range(10)]
    found = list(task_items("sums", rows))
    assert found[0] == {"item_id": "0", "task": "sums", "prompt": "0 plus?"}
    assert [row["prompt"] for row in found[10:]] == [f"{k} plus? A:" for k in range(10)]


TASKS = {
    "choice": {
        "doc_to_text": "Pick the one right answer of these: {{question}}\n{{choices}}\nAnswer:",
        "output_type": "multiple_choice",
    },
    "blank": {"doc_to_text": "label", "doc_to_choice": "contexts", "doc_to_target": "rest"},
    "rated": {"doc_to_text": "", "doc_to_target": "text", "output_type": "loglikelihood_rolling"},
}
METRICS = {"choice": "acc", "blank": "acc", "rated": "word_perplexity"}
CHOICES = ["no", "yes"]
DOCS: dict[str, list[dict[str, Any]]] = {
    "choice": [{"question": f"Which is {k}?", "choices": CHOICES, "label": 1} for k in range(12)],
    "blank": [{"label": 0, "contexts": ["The cat saw that the cat", "The cat saw that the dog"], "rest": "was gone."}],
    "rated": [{"text": "A whole page."}],
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with three tasks of the harness, and params.yaml with a suite of them."""
    monkeypatch.chdir(tmp_path)
    Path("tasks").mkdir()
    for name, task in TASKS.items():
        Path(f"tasks/{name}.jsonl").write_text("".join(json.dumps(doc) + "\n" for doc in DOCS[name]))
        common = {"doc_to_choice": "choices", "doc_to_target": "label", "output_type": "multiple_choice"}
        common |= {"task": name, "dataset_path": "json", "test_split": "test"}
        common |= {"dataset_kwargs": {"data_files": {"test": f"tasks/{name}.jsonl"}}}
        shown = common | task | {"metric_list": [{"metric": METRICS[name]}]}
        if name == "rated":
            del shown["doc_to_choice"]
        Path(f"tasks/{name}.yaml").write_text(yaml.safe_dump(shown))
    suite = {"kind": "lm_eval", "tasks": [*TASKS], "include_path": "tasks", "limit": 11}
    Path("params.yaml").write_text(yaml.safe_dump({"evaluate": {"suites": {"general": suite}}}))
    return tmp_path


def run() -> subprocess.CompletedProcess[str]:
    command = ["python", "-m", "holdfast.steps.evaluate.suite_items", "--params", "evaluate.suites.general"]
    command += ["--suite", "general", "--texts", "general.jsonl"]
    return subprocess.run([ROOT / "envs/in-env", "inference", *command], capture_output=True, text=True)


@pytest.mark.engine
def test_the_harness_tells_its_texts(project: Path) -> None:
    done = run()
    assert done.returncode == 0, done.stderr
    found = suite_items("general", "general.jsonl", ["prompt"])
    texts = [item.text for item in found]
    assert texts == [
        *DOCS["blank"][0]["contexts"],
        "was gone.",
        *(doc["question"] for doc in DOCS["choice"][:11]),
        *(f"{k}? {CHOICES} Answer:" for k in range(11)),
        "A whole page.",
    ]
    assert isinstance(found[0], Item)
    assert found[3].item_id == found[14].item_id != found[4].item_id

    params = yaml.safe_load(Path("params.yaml").read_text())
    Path("general.jsonl").unlink()
    params["evaluate"]["suites"]["general"]["tasks"] = ["nothing_of_the_kind"]
    Path("params.yaml").write_text(yaml.safe_dump(params))
    unknown = run()
    assert unknown.returncode == 1
    assert "error: evaluate.suites.general.tasks: the harness knows no task 'nothing_of_the_kind'" in unknown.stderr
    params["evaluate"]["suites"]["general"]["tasks"] = ["choice"]
    Path("params.yaml").write_text(yaml.safe_dump(params))
    Path("tasks/choice.jsonl").unlink()
    lost = run()
    assert lost.returncode == 1
    assert "error: evaluate.suites.general: the harness failed: FileNotFoundError" in lost.stderr
    assert not Path("general.jsonl").exists()


@pytest.mark.workflow
def test_only_a_harness_suite_makes_the_job_and_clean_and_mix_need_it(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Snakefile", tmp_path)
    for name in ("rules", "src", "envs", "data/seed"):
        shutil.copytree(ROOT / name, tmp_path / name)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())

    def jobs() -> dict[str, dict[str, Any]]:
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
        listing = [sys.executable, "-m", "holdfast.build.jobs"]
        environment = os.environ | {"HOLDFAST_LISTING": "1", "PYTHONPATH": str(tmp_path / "src")}
        done = subprocess.run(listing, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return {job["outputs"][0]: job for job in json.loads(done.stdout)}

    shipped = jobs()
    assert not any(job["rule"] == "suite_items" for job in shipped.values())
    params["evaluate"]["suites"]["general"] = {"kind": "lm_eval", "tasks": ["choice"], "include_path": "data/seed"}
    found = jobs()
    texts = "data/evaluate/items/general.jsonl"
    assert set(found) == {*shipped, texts}
    assert "data/seed" in found[texts]["inputs"]
    mixed = [f"data/mix/{arm}/train.jsonl" for arm in params["arms"]]
    needing = {output for output, job in found.items() if texts in job["inputs"]}
    assert needing == {"data/clean/instructions.parquet", *mixed}
    assert f"--harness {texts} " in found["data/clean/instructions.parquet"]["shell"]
