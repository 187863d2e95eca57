"""What metrics/filter.json says about judges."""

import json

import numpy as np
import polars as pl
import pytest

from committees import committee, draw, noisy
from holdfast.common.tables import ALL_SCORES
from holdfast.steps.filter.aggregation import column, join_scores
from holdfast.steps.filter.agreement import alpha, self_preference, severity
from holdfast.steps.filter.judge_statistics import all_scores, report
from holdfast.steps.filter.params import Selection
from holdfast.steps.filter.selection import select

MODELS = ["base", "scholar", "novice"]


def wide(tables):
    _, generations, scores = tables
    columns = generations.select("candidate_id", "instruction_id", "model", "sample")
    return join_scores(columns, scores)


def test_alpha_of_the_published_example():
    """Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), section E: ordinal alpha 0.815."""
    gap = None
    observers = {
        "a": [1, 2, 3, 3, 2, 1, 4, 1, 2, gap, gap, gap],
        "b": [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, gap, 3],
        "c": [gap, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, gap],
        "d": [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, gap],
    }
    table = pl.DataFrame(
        {column(j): values for j, values in observers.items()},
        schema={column(j): pl.Float64 for j in observers},
    )
    table = table.with_columns(candidate_id=pl.int_range(12).cast(pl.String))
    assert alpha(table, list(observers)) == pytest.approx(0.815, abs=5e-4)


def test_alpha_of_perfect_agreement_chance_and_nothing():
    same = wide(committee(50, MODELS, 1, {"base": noisy("x"), "scholar": noisy("x")}))
    assert alpha(*same) == 1.0
    chance = wide(
        committee(300, MODELS, 1, {j: lambda row, j=j: int(draw(j, row["candidate_id"]) * 5) + 1.0 for j in "ab"})
    )
    assert abs(alpha(*chance)) < 0.15
    assert alpha(*wide(committee(5, MODELS, 1, {"base": noisy("base")}))) is None
    assert alpha(*wide(committee(5, MODELS, 1, {j: lambda row: 5.0 for j in "ab"}))) is None
    assert alpha(*wide(committee(5, MODELS, 1, {}))) is None


def test_severity_leaves_own_answers_out():
    table, judges = wide(committee(400, MODELS, 2, {j: noisy(j, **{j: 2.0}) for j in MODELS}))
    assert list(severity(table, judges).values()) == pytest.approx([0, 0, 0], abs=0.05)
    harsh = {**{j: noisy(j) for j in MODELS}, "novice": lambda row: noisy("novice")(row) - 0.9}
    assert severity(*wide(committee(400, MODELS, 2, harsh))) == pytest.approx(
        {"base": -0.3, "scholar": -0.3, "novice": 0.6}, abs=0.05
    )


def test_severity_where_it_cannot_be_told():
    """Two judges who wrote everything have no answer in common that neither wrote; 1.5 points apart here."""
    two = {"base": noisy("base"), "scholar": lambda row: noisy("scholar")(row) - 1.5}
    shape = committee(60, ["base", "scholar"], 2, two)
    assert severity(*wide(shape)) == {"base": None, "scholar": None}
    assert severity(*wide(committee(20, ["base"], 2, {"outsider": noisy("outsider")}))) == {"outsider": None}
    more = committee(400, ["base", "scholar"], 2, two | {"outsider": noisy("outsider"), "nonsense": lambda row: None})
    found = severity(*wide(more))
    assert found.pop("nonsense") is None
    assert found == pytest.approx({"base": -0.5, "scholar": 1.0, "outsider": -0.5}, abs=0.05)
    told, _ = make_report(shape)
    assert told["judges"]["base"]["severity"] is None
    unidentified = [
        way for way in told["aggregations"] if (way["aggregate"], way["exclude_self"]) == ("calibrated", True)
    ]
    assert [(way["kept"], way["kept_by_model"]) for way in unidentified] == [(0, {})]


def test_self_preference_finds_what_was_put_in():
    judges = {
        "base": noisy("base", base=0.5),
        "scholar": lambda row: noisy("scholar")(row) - 1,
        "novice": noisy("novice"),
    }
    table, names = wide(committee(400, MODELS, 2, judges))
    vain = self_preference(table, names, "base")
    assert vain["low"] < 0.5 < vain["high"]
    assert vain["low"] > 0.3
    for fair in ("scholar", "novice"):
        found = self_preference(table, names, fair)
        assert found["low"] < 0 < found["high"]
    assert self_preference(table, names, "scholar")["own_minus_others"] == pytest.approx(-1, abs=0.3)


def test_self_preference_where_it_cannot_be_told():
    table, names = wide(committee(20, ["base", "scholar"], 2, {j: noisy(j) for j in ("base", "scholar")}))
    found = self_preference(table, names, "base")
    assert found["estimate"] is None
    assert found["own_answers"] == 40
    table, names = wide(committee(20, ["base"], 2, {"base": noisy("base"), "outsider": noisy("outsider")}))
    assert self_preference(table, names, "outsider") is None
    assert self_preference(*wide(committee(5, ["base"], 2, {"base": noisy("base")})), "base") is None


def test_self_preference_interval_covers():
    """95 % intervals over 300 made-up committees with a preference of 0.3: between 92 and 98 % hold it."""
    rng, hits, rounds, rows = np.random.default_rng(0), 0, 300, 60
    model = np.tile(np.repeat(MODELS, 2), rows)
    instruction = np.repeat([f"i{n:03}" for n in range(rows)], 6)
    for _ in range(rounds):
        shared = np.repeat(rng.normal(0, 0.5, rows), 6)  # answers to one instruction are alike
        scores = {
            column(j): 3 + shared * (1 + k) + rng.normal(0, 0.7, rows * 6) + 0.3 * ((model == j) & (j == "base"))
            for k, j in enumerate(MODELS)
        }
        table = pl.DataFrame({"instruction_id": instruction, "model": model, **scores})
        found = self_preference(table, MODELS, "base")
        hits += found["low"] <= 0.3 <= found["high"]
    assert 0.92 <= hits / rounds <= 0.98


@pytest.mark.parametrize(
    ("models", "judges", "missing"),
    [
        (MODELS[:2], [*MODELS[:2], "outsider"], 0.0),  # the severe judge is silent on half of what it is compared by
        (MODELS, MODELS, 0.7),  # fewer answers of the severe judge's model
        ([*MODELS, "guest"], [*MODELS, "outsider"], 0.4),
    ],
)
def test_another_judges_severity_is_not_taken_for_self_preference(models, judges, missing):
    """`scholar` scores a point lower than everybody; the interval of `base` must hold its preference all the same."""
    rng, hits, estimates, rounds, rows = np.random.default_rng(0), 0, [], 200, 60
    model, instruction = np.tile(np.repeat(models, 2), rows), np.repeat(np.arange(rows), 2 * len(models)).astype(str)
    for _ in range(rounds):
        there = (model != "scholar") | (rng.random(len(model)) >= missing)
        shared = np.repeat(rng.normal(0, 0.5, rows), 2 * len(models))
        scores = {
            column(j): 3 + shared - (j == "scholar") + rng.normal(0, 0.7, len(model)) + 0.3 * (model == j)
            for j in judges
        }
        holes = {name: np.where(rng.random(len(model)) < missing / 2, np.nan, given) for name, given in scores.items()}
        table = pl.DataFrame({"instruction_id": instruction, "model": model, **holes}).fill_nan(None).filter(there)
        found = self_preference(table, judges, "base")
        hits += found["low"] <= 0.3 <= found["high"]
        estimates.append(found["estimate"])
    assert np.mean(estimates) == pytest.approx(0.3, abs=0.03)
    assert 0.91 <= hits / rounds <= 0.99


def test_one_instruction_is_no_certainty():
    table, names = wide(committee(1, MODELS, 3, {j: noisy(j) for j in MODELS}))
    assert self_preference(table, names, "base")["estimate"] is None


def make_report(tables, **how):
    choice = Selection(**how)
    selected, rejected = select(*tables, choice, 0)
    return report(*tables, selected, rejected, choice, 0), selected.collect()


def test_the_report_of_a_committee():
    tables = committee(
        60, MODELS, 3, {**{j: noisy(j) for j in MODELS}, "nonsense": lambda row: None, "yes": lambda row: 5.0}
    )
    found, _ = make_report(tables, aggregate="median")
    assert json.loads(json.dumps(found)) == found
    assert found["counts"] == {
        "instructions": 60,
        "instructions_kept": 60,
        "candidates": 540,
        "kept": 60,
        "rejected": {"not_best": 480},
    }
    assert sum(model["kept"] for model in found["models"].values()) == 60
    assert found["judges"]["nonsense"]["unparsable"] == 540
    assert found["judges"]["nonsense"]["scored"] == 0
    assert found["judges"]["yes"]["constant"]
    assert not found["judges"]["base"]["constant"]
    current = [way for way in found["aggregations"] if way["current"]]
    assert [(way["aggregate"], way["same_choice"]) for way in current] == [("median", 1.0)]
    assert len(found["aggregations"]) == 6
    assert all(example["scores"]["nonsense"] is None for example in found["disagreements"])


def test_disagreements_are_the_widest_and_carry_their_texts():
    tables = committee(60, MODELS, 1, {j: noisy(j, **{j: 3.0}) for j in MODELS})
    found, _ = make_report(tables)
    spreads = [example["spread"] for example in found["disagreements"]]
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[0] > 2
    assert all(example["response"].startswith("answer") for example in found["disagreements"])


def test_no_judges_at_all():
    tables = committee(5, MODELS, 1, {})
    found, selected = make_report(tables)
    assert found["judges"] == {}
    assert found["aggregations"] == []
    assert len(selected) == 5
    assert dict(all_scores(*tables[1:]).collect_schema()) == ALL_SCORES


def test_all_scores_has_a_row_for_every_candidate_and_judge():
    _, generations, scores = committee(4, MODELS, 2, {j: noisy(j) for j in MODELS})
    cells = all_scores(generations, scores).collect()
    assert dict(cells.schema) == ALL_SCORES
    assert len(cells) == 4 * 3 * 2 * 3
    assert cells["own"].sum() == 4 * 2 * 3
    assert cells.equals(cells.sort("instruction_id", "candidate_id", "judge"))
