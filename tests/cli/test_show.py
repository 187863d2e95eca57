"""`holdfast show` and `holdfast sample` on tables as the steps write them."""

import argparse
import io
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.console import Console

from holdfast.cli import sample, show
from holdfast.common.errors import UserError
from holdfast.common.files import write_table
from holdfast.common.tables import (
    EVALUATIONS,
    GENERATIONS,
    INSTRUCTIONS,
    REJECTED_CANDIDATES,
    REJECTED_GENERATIONS,
    SCORES,
    SELECTED,
)
from holdfast.steps.preferences.tables import PREFERENCES, PREFERENCES_REJECTED


def write(path: str, schema: dict[str, Any], *rows: dict[str, Any]) -> None:
    whole = [{name: row.get(name) for name in schema} for row in rows]
    write_table(pl.DataFrame(whole, schema=schema, orient="row"), path, schema)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked = [("aa11", "What is a duck called?"), ("aa22", "Name the young of a cow."), ("bb33", "Spell DUCK.")]
    write(
        "data/clean/instructions.parquet",
        INSTRUCTIONS,
        *(
            {"instruction_id": i, "instruction": text, "count": 2, "slice": "general", "prompt_id": "p",
             "messages": [{"role": "user", "content": text}]}
            for i, text in asked
        ),
    )  # fmt: skip


def build() -> None:
    """The steps after clean, for one instruction."""
    answers = [{"instruction_id": "aa11", "candidate_id": f"c{n}", "model": "m", "sample": n, "response": f"answer {n}"}
               for n in range(2)]  # fmt: skip
    write("data/generate/m.parquet", GENERATIONS, *answers)
    refused = answers[0] | {"candidate_id": "c9", "sample": 9, "reason": "empty", "response": ""}
    write("data/generate/m.rejected.parquet", REJECTED_GENERATIONS, refused)
    scores = [answers[n] | {"judge": "j", "score": float(n + 3), "status": "ok"} for n in range(2)]
    write("data/score/j.parquet", SCORES, *scores)
    write("data/filter/selected.parquet", SELECTED, answers[1] | {"score": 4.0})
    write(
        "data/filter/selected.rejected.parquet", REJECTED_CANDIDATES, answers[0] | {"score": 3.0, "reason": "not_best"}
    )
    mixed = {"instruction_id": "aa11", "row_id": "c1", "source": "rehearsal", "model": "m", "tokens": 12}
    Path("data/mix/arm").mkdir(parents=True)
    pl.DataFrame([mixed]).write_parquet("data/mix/arm/train.parquet")
    for arm, correct in (("arm", False), ("base", True)):
        item = {"suite": "s", "task": "t", "item_id": "e1", "prompt": "Is a hen a bird?", "expected": "Yes"}
        write(f"data/evaluate/{arm}.parquet", EVALUATIONS, item | {"answer": f"{arm} says", "correct": correct})


def shown(*words: str, width: int = 80, terminal: bool = False) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, highlight=False, markup=False, force_terminal=terminal, no_color=True)
    show.main(argparse.Namespace(what=list(words)), console)
    return file.getvalue()


def test_before_anything_has_answered_it_says_so() -> None:
    text = shown("aa1")
    assert "instruction aa11" in text
    assert "none yet: no committee model has answered" in text
    assert "none yet" in text.partition("Mixtures")[2]


def test_all_that_became_of_an_instruction() -> None:
    build()
    text = shown("aa11")
    assert "user: What is a duck called?" in text
    assert "sampled 2 times" in text
    kept, dropped, refused = (text.index(part) for part in ("4.00  kept  m 1  (j 4.00)", "3.00  dropped: not_best  m 0",
                                                            "no score  dropped by generate: empty  m 9"))  # fmt: skip
    assert kept < dropped < refused, "the best first"
    assert "arm (train): the answer of m, 12 tokens" in text
    assert not any(line.endswith(" ") for line in text.splitlines()), "no padding in a pipe"


def test_a_file_of_pairs_and_the_pairs_of_an_instruction() -> None:
    build()
    assert "Preference pairs" not in shown("aa11")
    pair = {
        "instruction_id": "aa11",
        "model_chosen": "m",
        "model_rejected": "n",
        "score_chosen": 4.0,
        "score_rejected": 2.5,
        "margin": 1.5,
        "prompt": [{"role": "user", "content": "What is a duck called?"}],
        "chosen": [{"role": "assistant", "content": "Duck"}],
        "rejected": [{"role": "assistant", "content": "Hen"}],
    }
    write("data/preferences/selected.parquet", PREFERENCES, pair, pair | {"instruction_id": "aa22", "margin": 0.5})
    lost = {"instruction_id": "bb33", "reason": "one_answer", "detail": "no other text"}
    write("data/preferences/selected.rejected.parquet", PREFERENCES_REJECTED, lost)
    assert "selected: m (4.00) before n (2.50), margin 1.50" in shown("aa11").partition("Preference pairs")[2]
    assert "selected: none: one_answer no other text" in shown("bb33")
    text = shown("data/preferences/selected.jsonl")
    assert "2 pairs; 1 instruction without one" in text
    assert "margins: from 0.50 to 1.50, median 1.00" in text
    assert "m: 2 chosen, 0 rejected" in text
    assert "assistant: Duck" in text
    with pytest.raises(UserError, match=r"data/preferences/other.parquet: not a readable Parquet file"):
        shown("data/preferences/other.jsonl")


def test_words_find_instructions_and_test_items() -> None:
    build()
    assert shown("duck").splitlines() == [
        "2 matches; `holdfast show ID` shows one:",
        "aa11  instruction: What is a duck called?",
        "bb33  instruction: Spell DUCK.",
    ]
    assert "instruction aa22" in shown("young", "cow")
    item = shown("hen", "bird")
    assert item.index("base: right") < item.index("arm: wrong")
    assert "arm says" in item
    with pytest.raises(UserError, match="no instruction or test item has the id or the words 'unheard of'"):
        shown("unheard", "of")


def test_long_texts_are_wrapped_in_a_terminal() -> None:
    text = shown("aa22", width=30, terminal=True)
    assert max(map(len, text.splitlines())) <= 40  # with the codes for bold


def sampled(*words: str) -> str:
    parser = argparse.ArgumentParser()
    sample.command(parser.add_subparsers())
    file = io.StringIO()
    sample.main(parser.parse_args(["sample", *words]), Console(file=file, width=80, highlight=False, markup=False))
    return file.getvalue()


def test_rows_of_a_step_and_the_same_for_the_same_seed() -> None:
    build()
    assert sampled("clean", "--rows", "9").count("instruction_id: ") == 3
    assert sampled("clean", "--rows", "1", "--seed", "3") == sampled("clean", "--rows", "1", "--seed", "3")
    assert "data/filter/selected.parquet" in sampled("filter")
    assert "reason: not_best" in sampled("filter", "--rejected")
    assert "reason: empty" in sampled("generate", "--rejected")
    assert sampled("evaluate", "--rows", "9").count("item_id: e1") == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train"], "no step 'train' with rows; steps: seed, reconstruct, clean"),
        (["score"], r"data/score/\*.parquet: not there yet; run `snakemake --cores all`"),
        (["clean", "--pilot"], r"not there yet; run `holdfast pilot`"),
        (["clean", "--rows", "0"], "--rows 0: must be at least 1"),
    ],
)
def test_faults_say_what_to_do(words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        sampled(*words)
