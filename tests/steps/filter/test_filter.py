"""The filter step: aggregation, choice, reasons."""

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from committees import SELECTIONS, THREE, candidate, cell, choose, committee, frames, instruction, noisy
from holdfast.common.errors import UserError
from holdfast.common.tables import GENERATIONS, INSTRUCTIONS, REJECTED_CANDIDATES, SCORES, SELECTED
from holdfast.steps.filter.selection import REFUSAL


@settings(max_examples=40, deadline=None)
@given(how=SELECTIONS, seed=st.integers(0, 3))
def test_every_candidate_is_kept_or_rejected_once(how, seed):
    tables = committee(12, ["base", "scholar"], 2, THREE)
    selected, rejected = choose(tables, seed, **how)
    ids = pl.concat([selected["candidate_id"], rejected["candidate_id"]])
    assert sorted(ids) == sorted(tables[1].collect()["candidate_id"])
    assert rejected["reason"].null_count() == 0
    assert rejected["detail"].null_count() == 0
    assert dict(selected.schema) == SELECTED
    assert dict(rejected.schema) == REJECTED_CANDIDATES
    if how["keep"] == "best":
        assert selected["instruction_id"].is_unique().all()
        best = dict(
            pl.concat([selected, rejected], how="diagonal").group_by("instruction_id").agg(pl.max("score")).iter_rows()
        )
        assert all(row["score"] == best[row["instruction_id"]] for row in selected.iter_rows(named=True))


def test_order_of_rows_and_files_changes_nothing():
    instructions, generations, scores = committee(30, ["base", "scholar"], 3, THREE)
    shuffled = [t.collect().sample(fraction=1, shuffle=True, seed=1).lazy() for t in scores][::-1]
    mixed = (
        instructions.collect().sample(fraction=1, shuffle=True, seed=2).lazy(),
        generations.collect().sample(fraction=1, shuffle=True, seed=3).lazy(),
        shuffled,
    )
    for how in ({}, {"aggregate": "calibrated", "exclude_self": True}, {"judges": []}, {"keep": "all"}):
        scored = [] if how.get("judges") == [] else scores
        for one, other in zip(
            choose((instructions, generations, scored), **how),
            choose((*mixed[:2], shuffled if scored else []), **how),
            strict=True,
        ):
            assert_frame_equal(one, other, check_exact=True)


def test_ties_favour_no_model_and_no_position():
    always_five = {"base": lambda row: 5.0}
    tables = committee(600, ["base", "scholar", "novice"], 2, always_five)
    for how in ({}, {"judges": []}):
        given_tables = tables if not how else (*tables[:2], [])
        wins = choose(given_tables, **how)[0]["model"].value_counts()["count"]
        assert len(wins) == 3
        assert wins.min() > 150
    other_seed = choose(tables, 1)[0]["candidate_id"]
    assert not choose(tables)[0]["candidate_id"].equals(other_seed)


def test_each_fault_has_its_reason():
    asked = [instruction(0, "How do I boil an egg so that the yolk stays soft in the middle?"), instruction(1)]
    key = asked[0]["instruction_id"]
    texts = {
        "empty": " \n",
        "truncated": "Put it into boiling water for",
        "too_short": "Boil",
        "too_long": "Put the egg into boiling water. " * 10,
        "refusal": "I'm sorry, but I can't help with boiling eggs.",
        "language": "Legen Sie das Ei sechs Minuten lang in kochendes Wasser, dann ist es weich.",
        "no_score": "Seven minutes, then cold water.",
        "low_score": "Never boil an egg at all, please.",
        "not_best": "Boil it for seven minutes exactly.",
        None: "Boil it for six minutes, then cool it in cold water.",
    }
    points = {"no_score": None, "low_score": 1.0, "not_best": 4.0}
    answers = [
        candidate(key, "base", n, text, "length" if reason == "truncated" else "stop")
        for n, (reason, text) in enumerate(texts.items())
    ]
    scores = [[cell(row, "base", points.get(reason, 5.0)) for row, reason in zip(answers, texts, strict=True)]]
    how = {"min_chars": 6, "max_chars": 200, "refusals": False, "same_language": True, "min_score": 2.0}
    selected, rejected = choose(frames(asked, answers, scores), **how)
    assert selected["response"].to_list() == [texts[None]]
    found = dict(rejected.select("response", "reason").iter_rows())
    assert found == {text: reason for reason, text in texts.items() if reason} | {"question 1": "unanswered"}


@pytest.mark.parametrize(
    ("text", "refuses"),
    [
        ("I'm sorry, but I can't do that.", True),
        ("I’m really sorry but as an AI I have no body.", True),
        ("I cannot assist with that request.", True),
        ("Unfortunately, I am unable to open links.", True),
        ("As an AI language model, I have no opinions.", True),
        ("I must decline.", True),
        ("I'm sorry to hear that! Here is what you can do.", False),
        ("I can suggest three books.", False),
        ("Sorry is a common word in English.", False),
        ("The word cannot is one word.", False),
    ],
)
def test_refusals_are_known_by_their_opening(text, refuses):
    assert pl.Series([text]).str.contains(REFUSAL)[0] is refuses


def test_keep_all_keeps_one_of_equal_texts():
    asked = [instruction(0)]
    key = asked[0]["instruction_id"]
    answers = [candidate(key, model, 0, text) for model, text in (("a", "x"), ("b", "x"), ("c", "y"))]
    selected, rejected = choose(
        frames(asked, answers, [[cell(row, "a", 4.0) for row in answers]]), keep="all", min_score=3.0
    )
    assert sorted(selected["response"]) == ["x", "y"]
    assert rejected["reason"].to_list() == ["duplicate"]


def test_selections_of_the_ladder():
    tables = committee(40, ["base", "scholar", "novice"], 3, THREE)
    single, _ = choose((*tables[:2], []), models=["base"], samples=1, judges=[])
    assert single["model"].unique().to_list() == ["base"]
    assert single["candidates"].unique().to_list() == [1]
    assert single["score"].null_count() == 40
    own, _ = choose((*tables[:2], tables[2][:1]), models=["base"], judges=["base"])
    assert own["candidates"].unique().to_list() == [3]
    with pytest.raises(UserError, match="no scores of oracle"):
        choose(tables, judges=["oracle"])


@pytest.mark.parametrize(
    ("how", "repair"),
    [
        ({"min_score": 9.0}, "6 low_score; lower min_score"),
        ({"min_judges": 2}, "6 no_score; .*set judges: \\[\\] to choose at random"),
        ({"min_chars": 999}, "6 too_short; lower min_chars"),
    ],
)
def test_where_nothing_is_kept_the_repair_is_named(how, repair):
    with pytest.raises(UserError, match=f"no candidate was kept: {repair}"):
        choose(committee(3, ["base"], 2, {"base": noisy("base")}), **how)


def test_two_score_tables_of_one_judge_are_refused():
    instructions, generations, scores = committee(3, ["base"], 1, THREE)
    with pytest.raises(UserError, match="two tables of scores"):
        choose((instructions, generations, [scores[0], scores[0]]))
    twice = pl.concat([scores[0], scores[0]])
    with pytest.raises(UserError, match="scored a candidate twice"):
        choose((instructions, generations, [twice]))


def run_step(folder: Path, params: dict, *more: str) -> subprocess.CompletedProcess[str]:
    (folder / "params.yaml").write_text(yaml.safe_dump({"random_seed": 0, "filter": {"selected": params}}))
    command = [sys.executable, "-m", "holdfast.steps.filter", "--params", "random_seed,filter.selected"]
    command += ["--selection", "selected", "--instructions", "i.parquet", "--generations", "g.parquet", *more]
    command += ["--selected", "out.parquet", "--rejected", "rejected.parquet"]
    source = str(Path(__file__).parents[3] / "src")
    return subprocess.run(command, cwd=folder, env={"PYTHONPATH": source}, capture_output=True, text=True)


def test_the_command_writes_whole_files_or_one_message(tmp_path):
    instructions, generations, scores = committee(5, ["base"], 2, {"base": noisy("base")})
    instructions.sink_parquet(tmp_path / "i.parquet")
    generations.sink_parquet(tmp_path / "g.parquet")
    scores[0].sink_parquet(tmp_path / "s.parquet")
    done = run_step(tmp_path, {}, "--scores", "s.parquet")
    assert done.returncode == 0, done.stderr
    first = (tmp_path / "out.parquet").read_bytes()
    assert len(pl.read_parquet(first)) == 5
    assert run_step(tmp_path, {}, "--scores", "s.parquet").returncode == 0
    assert (tmp_path / "out.parquet").read_bytes() == first
    (tmp_path / "out.parquet").unlink()
    for params, message in (
        ({"exclude_self": True}, "filter.selected: no candidate was kept: 10 no_score"),
        ({"agregate": "mean"}, "filter.selected.agregate"),
        ({"min_score": 2.0, "judges": []}, "min_score needs judges"),
    ):
        done = run_step(tmp_path, params, "--scores", "s.parquet")
        assert done.returncode == 1
        assert message in done.stderr
        assert "Traceback" not in done.stderr
    done = run_step(tmp_path, {}, "--scores", "missing.parquet")
    assert "missing.parquet" in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        ["i.parquet", "g.parquet", "s.parquet", "params.yaml", "rejected.parquet"]
    )


def test_schemas_of_the_made_up_tables_are_the_real_ones():
    instructions, generations, scores = committee(1, ["base"], 1, THREE)
    assert dict(instructions.collect_schema()) == INSTRUCTIONS
    assert dict(generations.collect_schema()) == GENERATIONS
    assert dict(scores[0].collect_schema()) == SCORES
