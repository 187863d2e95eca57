"""Benchmarks as their authors publish them: which texts are read from which form, and what is said of the others."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from holdfast.common.errors import UserError
from holdfast.text.benchmark_items import suite_items


def read(tmp_path: Path, row: Any, *fields: str) -> list[str]:
    path = tmp_path / "suite.jsonl"
    path.write_text(json.dumps(row) + "\n")
    return [item.text for item in (suite_items("s", str(path), fields) if fields else suite_items("s", str(path)))]


PUBLISHED = {
    "GSM8K": ({"question": "How many?", "answer": "4"}, ["How many?"]),
    "MATH": ({"problem": "Find x.", "level": "5", "solution": "4"}, ["Find x."]),
    "TruthfulQA": ({"Type": "Adversarial", "Category": "Law", "Question": "May I?", "Best Answer": "No"}, ["May I?"]),
    "MT-Bench": ({"question_id": 81, "category": "x", "turns": ["Write a blog.", "Now rewrite it."]},
                 ["Write a blog.", "Now rewrite it."]),
    "ARC": ({"id": "1", "question": {"stem": "Which rock?", "choices": [{"text": "a", "label": "A"}]}, "key": "A"},
            ["Which rock?"]),
    "Alpaca": ({"instruction": "Sum up.", "input": "A text.", "output": "B"}, ["Sum up.\nA text."]),
    "Alpaca without input": ({"instruction": "Sing.", "input": "", "output": "B"}, ["Sing."]),
    "Self-Instruct": ({"Instruction": "Sum up.", "instances": [{"input": "x", "output": "y"}]}, ["Sum up."]),
    "SVAMP": ({"Body": "There are 8 figs.", "Question": "How many?", "Answer": 8.0}, ["There are 8 figs.\nHow many?"]),
    "BIG-bench": ({"input": "2 + 2 =", "target_scores": {"4": 1}}, ["2 + 2 ="]),
    "P3": ({"inputs": "2 + 2 =", "targets": "4"}, ["2 + 2 ="]),
    "WritingBench": ({"index": 1, "domain1": "x", "query": "Write an outline."}, ["Write an outline."]),
    "IFEval": ({"key": 1, "prompt": "Write.", "kwargs": [{}]}, ["Write."]),
    "a chat": ({"messages": [{"role": "system", "content": "x"}, {"role": "user", "content": "Four?"},
                             {"role": "assistant", "content": "4"}]}, ["Four?"]),
    "a chat in parts": ({"prompt": [{"role": "user", "content": [{"type": "text", "text": "Four?"}]}]}, ["Four?"]),
    "ShareGPT": ({"conversations": [{"from": "human", "value": "Five?"}, {"from": "gpt", "value": "5"}]}, ["Five?"]),
    "HellaSwag": ({"ctx": "A man sits", "endings": ["a", "b"], "label": 1}, ["A man sits"]),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_forms_are_understood(tmp_path: Path, name: str) -> None:
    row, texts = PUBLISHED[name]
    assert read(tmp_path, row) == texts


def test_own_fields_can_be_named_nested_and_joined(tmp_path: Path) -> None:
    row = {"Frage": {"Text": "Was?", "Nr": 3}, "Lage": "Hier.", "question": "no"}
    assert read(tmp_path, row, "Frage.text") == ["Was?"]
    assert read(tmp_path, row, "missing", "lage + frage.text") == ["Hier.\nWas?"]
    assert read(tmp_path, row, "missing + question", "Lage") == ["Hier."]


def test_items_have_their_id_and_suite(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"item_id": 7, "prompt": "One?"}\n{"question": "Two?"}\n{"question": "Two?"}\n')
    pl.DataFrame({"question": ["Three?"], "prompt": [""]}).write_parquet(tmp_path / "b.parquet")
    items = [item for name in ("a.jsonl", "b.parquet") for item in suite_items(name, str(tmp_path / name))]
    assert [(item.suite, item.text) for item in items] == [
        ("a.jsonl", "One?"),
        ("a.jsonl", "Two?"),
        ("a.jsonl", "Two?"),
        ("b.parquet", "Three?"),
    ]
    assert items[0].item_id == "7"
    assert items[1].item_id == items[2].item_id


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"prompt": ', "suite.jsonl line 1: not JSON"),
        ('{"frage": "x", "antwort": "y"}', "line 1: .* frage, antwort .*clean.contamination.fields"),
        ('{"prompt": "x"}\n{"prompt": " "}', "suite.jsonl line 2: none of"),
        ('{"prompt": 3}', "none of"),
        ('{"question": {"choices": ["a"]}}', "none of"),
        ('{"turns": []}', "none of"),
        ('{"messages": [{"role": "assistant", "content": "x"}]}', "none of"),
        ("", "empty"),
    ],
)  # fmt: skip
def test_what_is_not_understood_names_file_row_columns_and_parameter(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "suite.jsonl"
    path.write_text(text)
    with pytest.raises(UserError, match=fault):
        suite_items("s", str(path))
