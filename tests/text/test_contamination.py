"""Overlap with evaluation suites: runs of words, short items, several suites, and files of several forms."""

import json
from pathlib import Path

import polars as pl
import pytest

from holdfast.common.errors import UserError
from holdfast.text.contamination import Item, hits, suite_items

LONG = "A train leaves the station at noon and travels north for three hours at sixty miles per hour"


def found(texts: list[str], items: list[Item], ngram: int = 8) -> list[dict[str, object]]:
    return hits(pl.Series(texts, dtype=pl.String), items, ngram).to_dicts()


def test_a_run_of_words_is_a_hit_with_its_span() -> None:
    rows = found(
        ["Riddle: a TRAIN leaves the station, at noon and travels south!", "a train leaves"], [Item("math", "m1", LONG)]
    )
    assert rows == [
        {
            "row": 0,
            "suite": "math",
            "item_id": "m1",
            "items": 1,
            "kind": "ngram",
            "span": "a train leaves the station at noon and travels",
        }
    ]


def test_short_items_are_hit_by_the_same_words_only() -> None:
    items = [Item("sums", "s1", "What is 3 + 4?")]
    rows = found(["what is 3 + 4", "What is 3 - 4?", "Tell me: what is 3 + 4?", "What is 3 + 4 + 5?", ""], items)
    assert [(row["row"], row["kind"], row["span"]) for row in rows] == [(0, "exact", "what is 3 + 4")]


def test_the_longest_span_is_recorded_and_the_others_counted() -> None:
    words = LONG.split()
    items = [Item("a", "short", " ".join(words[:9])), Item("a", "long", " ".join(words[:12])), Item("b", "same", LONG)]
    rows = found([LONG], items)
    assert [(row["suite"], row["item_id"], row["items"], row["kind"]) for row in rows] == [
        ("a", "long", 2, "ngram"),
        ("b", "same", 1, "exact"),
    ]
    assert rows[1]["span"] == " ".join(words).lower()


def test_no_items_no_texts() -> None:
    assert found(["x"], []) == []
    assert found([], [Item("s", "1", "x")]) == []


def test_every_form_of_file(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        json.dumps({"item_id": 7, "prompt": "One?", "answer": "1"}) + "\n" + json.dumps({"question": "Two?"}) + "\n"
    )
    pl.DataFrame({"question": ["Three?"], "prompt": [""]}).write_parquet(tmp_path / "b.parquet")
    chat = [
        {"role": "system", "content": "x"},
        {"role": "user", "content": "Four?"},
        {"role": "assistant", "content": "4"},
    ]
    (tmp_path / "c.jsonl").write_text(json.dumps({"messages": chat}))
    texts = [
        item.text
        for name in "abc"
        for item in suite_items("s", str(next(tmp_path.glob(f"{name}.*"))), ["prompt", "question"])
    ]
    assert texts == ["One?", "Two?", "Three?", "Four?"]


@pytest.mark.parametrize(
    ("text", "fault"), [('{"prompt": ', "line 1"), ('{"text": "x"}', "none of the fields"), ("", "empty")]
)
def test_faulty_files_name_the_row(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "suite.jsonl"
    path.write_text(text)
    with pytest.raises(UserError, match=fault):
        suite_items("s", str(path), ["prompt"])
