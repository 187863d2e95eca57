"""The preferences step: which two answers become a pair, which instructions have none, and what is written."""

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from committees import SELECTIONS, THREE, candidate, cell, choose, committee, frames, instruction
from holdfast.common.files import write_table
from holdfast.common.tables import REJECTED_CANDIDATES, SELECTED
from holdfast.steps.preferences.pairing import choose as pair
from holdfast.steps.preferences.tables import PREFERENCES, PREFERENCES_REJECTED

MODELS = ["base", "scholar"]


def selection(answers, texts=None, **how):
    """The two tables of a selection from the scores of one judge: (model, score) of every answer, by instruction."""
    asked = [instruction(n, system="Be brief." if n == 0 else None) for n in range(len(answers))]
    rows, cells = [], []
    for number, (row, scored) in enumerate(zip(asked, answers, strict=True)):
        for sample, (model, score) in enumerate(scored):
            text = (texts or {}).get((number, sample), f"answer {number} {sample}")
            rows.append(candidate(str(row["instruction_id"]), model, sample, text))
            cells.append(cell(rows[-1], "judge", score))
    return choose(frames(asked, rows, [cells]), **how)


def pairs_of(tables, least=0.5, seed=0):
    return pair(tables[0].lazy(), tables[1].lazy(), least, seed)


def test_the_kept_answer_is_paired_with_the_worst_one_and_close_ones_have_no_pair():
    tables = selection([[("a", 4.0), ("b", 1.5), ("a", 3.0)], [("a", 4.0), ("b", 3.75)], [("a", 4.0)]])
    chosen, lost = pairs_of(tables)
    assert chosen["instruction_id"].to_list() == [instruction(0)["instruction_id"]]
    assert chosen.select("score_chosen", "score_rejected", "margin", "model_chosen", "model_rejected").rows() == [
        (4.0, 1.5, 2.5, "a", "b")
    ]
    reasons = dict(lost.select("instruction_id", "reason").iter_rows())
    assert reasons == {instruction(1)["instruction_id"]: "small_margin", instruction(2)["instruction_id"]: "one_answer"}
    assert lost.schema == PREFERENCES_REJECTED


@pytest.mark.parametrize("keep", ["best", "all"])
def test_neither_side_is_an_answer_with_a_fault_or_the_same_text(keep):
    texts = {(0, 1): "", (0, 2): "answer 0 0 ", (1, 1): "I'm sorry, but I cannot"}
    answers = [[("a", 4.0), ("b", 1.0), ("b", 2.0), ("b", 3.0)], [("a", 4.0), ("b", 1.0)]]
    chosen, lost = pairs_of(selection(answers, texts, keep=keep, refusals=False))
    assert chosen.select("score_chosen", "score_rejected").rows() == [(4.0, 3.0)]
    assert lost.select("reason").rows() == [("one_answer",)]


def test_an_answer_below_min_score_can_be_the_rejected_one_and_an_instruction_without_a_kept_one_says_why():
    chosen, lost = pairs_of(selection([[("a", 4.0), ("b", 1.0)], [("a", 2.0), ("b", None)]], min_score=3.0))
    assert chosen["score_rejected"].to_list() == [1.0]
    assert lost.select("reason", "detail").rows() == [("not_selected", "1 low_score, 1 no_score")]


@settings(max_examples=40, deadline=None)
@given(how=SELECTIONS, least=st.floats(0.01, 2), seed=st.integers(0, 3))
def test_every_instruction_has_a_pair_or_a_reason_and_no_pair_contradicts_the_filter(how, least, seed):
    tables = committee(12, MODELS, 2, THREE)
    selected, others = choose(tables, seed, **how)
    chosen, lost = pairs_of((selected, others), least, seed)
    ids = pl.concat([chosen["instruction_id"], lost["instruction_id"]])
    assert sorted(ids) == sorted(tables[0].collect()["instruction_id"])
    scores = dict(pl.concat([t.select("candidate_id", "score") for t in (selected, others)]).iter_rows())
    kept = set(selected["candidate_id"])
    for row in chosen.iter_rows(named=True):
        assert row["candidate_id_chosen"] in kept
        assert scores[row["candidate_id_chosen"]] == row["score_chosen"]
        assert scores[row["candidate_id_rejected"]] == row["score_rejected"]
        assert row["score_chosen"] - row["score_rejected"] >= least - 1e-9


@settings(max_examples=10, deadline=None)
@given(less=st.floats(0.01, 1.5), more=st.floats(0.01, 1.5))
def test_a_larger_margin_only_takes_pairs_away(less, more):
    less, more = sorted((less, more))
    tables = choose(committee(20, MODELS, 2, THREE))
    many, few = pairs_of(tables, less)[0], pairs_of(tables, more)[0]
    assert set(few.rows()) <= set(many.rows())


def test_the_order_of_rows_changes_nothing_and_ties_fall_on_every_model():
    tables = selection([[("a", 4.0), ("b", 4.0), ("a", 1.0), ("b", 1.0)]] * 40)
    shuffled = tuple(t.sample(fraction=1, shuffle=True, seed=1) for t in tables)
    for one, other in zip(pairs_of(tables), pairs_of(shuffled), strict=True):
        assert_frame_equal(one, other)
    assert set(pairs_of(tables)[0].select("model_chosen", "model_rejected").rows()) == {
        (one, other) for one in "ab" for other in "ab"
    }


def run(folder: Path, tables, selection="selected", least=0.5):
    models = {"a": {"licence": "MIT"}, "b": {"path": "b"}}
    values = {"random_seed": 0, "preferences": {"selections": [selection], "min_margin": least}, "models": models}
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    for name, table, schema in zip(("kept", "others"), tables, (SELECTED, REJECTED_CANDIDATES), strict=True):
        write_table(table, folder / f"{name}.parquet", schema)
    words = ["--params", "random_seed,preferences.min_margin,models.a.licence", "--selection", selection]
    words += ["--selected", "kept.parquet", "--others", "others.parquet", "--pairs", f"{selection}.jsonl"]
    words += ["--table", f"{selection}.parquet", "--rejected", "rejected.parquet", "--card", f"{selection}.md"]
    command = [sys.executable, "-m", "holdfast.steps.preferences", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_the_step_writes_pairs_of_messages_with_their_lineage_and_a_card(tmp_path):
    tables = selection([[("a", 4.0), ("b", 1.5)], [("a", 4.0), ("b", 3.75)]])
    shown = {"tools": [{"type": "function", "function": {"name": "näher"}}]}
    tables = (tables[0].with_columns(rendering=pl.lit(json.dumps(shown))), tables[1])
    done = run(tmp_path, tables)
    assert done.returncode == 0, done.stderr
    assert "1 pair, mean margin 2.50; 1 instruction without one" in done.stdout
    (row,) = map(json.loads, (tmp_path / "selected.jsonl").read_text().splitlines())
    assert list(row) == list(PREFERENCES)
    assert row["prompt"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "question 0"}]
    assert row["chosen"] == [{"role": "assistant", "content": "answer 0 0"}]
    assert row["rejected"] == [{"role": "assistant", "content": "answer 0 1"}]
    assert json.loads(row["tools"]) == shown["tools"]
    assert (row["licence_chosen"], row["licence_rejected"]) == ("MIT", None)
    assert pl.read_parquet(tmp_path / "selected.parquet").to_dicts() == [row]
    head, body = (tmp_path / "selected.md").read_text().split("---\n", 2)[1:]
    assert yaml.safe_load(head)["license_name"] == "MIT and not stated"
    assert "| a | 1 | 0 | MIT |" in body
    assert "| small_margin | 1 |" in body


def test_no_pair_at_all_is_an_error_that_says_what_to_change(tmp_path):
    done = run(tmp_path, selection([[("a", 4.0), ("b", 3.75)], [("a", 4.0)], [("a", 3.0)]]))
    assert done.returncode == 1
    assert done.stderr == (
        "error: preferences: selected gives no pair: 2 one_answer, 1 small_margin; lower preferences.min_margin\n"
    )
    assert not (tmp_path / "selected.jsonl").exists()
