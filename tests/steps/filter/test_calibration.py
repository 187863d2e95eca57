"""Aggregated scores: calibration of judges, excluded self-scores, and judges that decide nothing."""

import random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from committees import THREE, candidate, cell, choose, committee, draw, frames, instruction, noisy
from holdfast.common.errors import UserError
from holdfast.steps.filter.aggregation import calibrate, column, judge_effects


def test_mean_median_and_exclude_self_by_hand():
    asked = [instruction(0)]
    key = asked[0]["instruction_id"]
    answers = [candidate(key, "base", 0, "a"), candidate(key, "scholar", 0, "b")]
    given_scores = {"base": (5.0, 1.0), "novice": (2.0, 4.0), "scholar": (2.0, 4.5)}
    scores = [[cell(row, j, s) for row, s in zip(answers, pair, strict=True)] for j, pair in given_scores.items()]
    tables = frames(asked, answers, scores)

    def scored(**how):
        rows = pl.concat(choose(tables, **how), how="diagonal")
        return dict(rows.select("model", "score").iter_rows())

    assert scored() == {"base": 3.0, "scholar": pytest.approx(19 / 6)}
    assert scored(aggregate="median") == {"base": 2.0, "scholar": 4.0}
    assert scored(exclude_self=True) == {"base": 2.0, "scholar": 2.5}
    selected, _ = choose(tables)
    assert selected["scores"][0].to_list() == [
        {"judge": "base", "score": 1.0},
        {"judge": "novice", "score": 4.0},
        {"judge": "scholar", "score": 4.5},
    ]
    assert selected["candidates"].to_list() == [2]


def test_calibration_undoes_any_scale_and_severity():
    def stretched(judge, slope, offset):
        return lambda row: slope * THREE[judge](row) + offset

    plain = committee(200, ["base", "scholar"], 3, THREE)
    lines = {"base": (1, 0), "scholar": (0.3, 2), "novice": (2, -4)}
    bent = committee(200, ["base", "scholar"], 3, {j: stretched(j, *line) for j, line in lines.items()})
    assert choose(plain, aggregate="calibrated")[0]["candidate_id"].equals(
        choose(bent, aggregate="calibrated")[0]["candidate_id"]
    )
    assert not choose(plain)[0]["candidate_id"].equals(choose(bent)[0]["candidate_id"])


def test_a_severe_judge_who_saw_other_answers_is_found_out():
    rows = [
        {
            column("a"): draw(n) if n % 3 else None,
            column("b"): draw(n) - 0.5 if n % 5 else None,
            column("c"): draw(n) + 1.0,
        }
        for n in range(300)
    ]
    table = pl.DataFrame(rows, schema={column(j): pl.Float64 for j in "abc"})
    assert judge_effects(table, [column(j) for j in "abc"]) == pytest.approx([-1 / 6, -2 / 3, 5 / 6])


def test_excluding_self_with_calibration_does_not_favour_the_lenient_judges_model():
    """Under a plain mean, leaving out the severe judge's score of its own answers lifts them; calibrated must not."""
    severe = {"base": lambda row: THREE["base"](row) - 1.5, "scholar": THREE["scholar"], "novice": THREE["novice"]}
    tables = committee(300, ["base", "scholar", "novice"], 3, severe)

    def share(**how):
        return (choose(tables, exclude_self=True, **how)[0]["model"] == "base").mean()

    assert share(aggregate="mean") > 0.5
    assert 0.25 < share(aggregate="calibrated") < 0.42


def test_a_judge_of_nonsense_is_passed_over_and_min_judges_counts():
    judges = {**THREE, "nonsense": lambda row: None}
    tables = committee(20, ["base"], 3, judges)
    with_nonsense, _ = choose(tables)
    without, _ = choose(committee(20, ["base"], 3, THREE))
    assert with_nonsense["candidate_id"].equals(without["candidate_id"])
    assert with_nonsense["scores"].list.len().unique().to_list() == [4]
    with pytest.raises(UserError, match="no candidate was kept: 60 no_score"):
        choose(tables, min_judges=4)


def test_a_judge_who_always_says_five_decides_nothing():
    judges = {**THREE, "yes": lambda row: 5.0}
    plain = choose(committee(50, ["base", "scholar"], 2, THREE))[0]["candidate_id"]
    tables = committee(50, ["base", "scholar"], 2, judges)
    assert choose(tables)[0]["candidate_id"].equals(plain)
    assert calibrate(pl.DataFrame({column("yes"): [5.0] * 9}), ["yes"]) == {"yes": None}
    only = committee(5, ["base"], 2, {"yes": lambda row: 5.0})
    assert len(choose(only)[0]) == 5
    with pytest.raises(UserError, match="a judge whose scores vary"):
        choose(only, aggregate="calibrated")


def test_two_judges_and_a_single_model():
    two = {judge: noisy(judge) for judge in ("base", "scholar")}
    for how in ({"exclude_self": True}, {"aggregate": "calibrated"}):
        assert len(choose(committee(20, ["base", "scholar"], 2, two), **how)[0]) == 20
    alone = committee(10, ["base"], 2, {"base": noisy("base")})
    assert len(choose(alone)[0]) == 10
    with pytest.raises(UserError, match="no_score"):
        choose(alone, exclude_self=True)


def test_judges_without_a_common_candidate_cannot_be_calibrated():
    """Each scores the other's answers alone: calibration would take the better answers for a lenient judge."""
    two = {judge: noisy(judge, scholar=1.0) for judge in ("base", "scholar")}
    shape = committee(60, ["base", "scholar"], 2, two)
    how = {"aggregate": "calibrated", "exclude_self": True}
    with pytest.raises(UserError) as refusal:
        choose(shape, **how)
    for part in ("aggregate: calibrated with exclude_self: true", "base, scholar are not connected", "exclude_self: f"):
        assert part in str(refusal.value)
    for works in ({"aggregate": "calibrated"}, {"exclude_self": True}):
        assert (choose(shape, **works)[0]["model"] == "scholar").mean() > 0.75
    third = committee(60, ["base", "scholar"], 2, two | {"outsider": noisy("outsider", scholar=1.0)})
    assert (choose(third, **how)[0]["model"] == "scholar").mean() > 0.75
    constant = committee(60, ["base", "scholar"], 2, two | {"outsider": lambda row: 3.0})
    with pytest.raises(UserError, match="not connected"):  # who always says the same compares nobody
        choose(constant, **how)
    assert len(choose(committee(60, ["base"], 2, two), **how)[0]) == 60  # a lone judge counts, so nobody is compared


@settings(max_examples=60)
@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=6))
def test_effects_are_given_where_co_scored_candidates_connect_the_judges(present):
    columns = [column(j) for j in "abcd"]
    rows = [{c: 1.0 if has else None for c, has in zip(columns, row, strict=True)} for row in present]
    reached = {0}
    for _ in columns:
        reached |= {i for row in present if any(row[j] for j in reached) for i in range(4) if row[i]}
    effects = judge_effects(pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.Float64)), columns)
    assert (effects is not None) == (len(reached) == 4)


def test_min_judges_counts_only_judges_that_count():
    tables = committee(20, ["base", "scholar"], 2, {"base": THREE["base"], "yes": lambda row: 5.0})
    assert len(choose(tables, min_judges=2)[0]) == 20
    assert len(choose(tables, aggregate="calibrated")[0]) == 20
    with pytest.raises(UserError, match="no candidate was kept: 80 no_score"):
        choose(tables, aggregate="calibrated", min_judges=2)


def test_many_small_walks_agree_with_plain_python():
    """The choice against a slow re-statement in Python, over random scores with gaps."""
    for seed in range(25):
        rng = random.Random(seed)
        asked = [instruction(n) for n in range(6)]
        answers = [candidate(a["instruction_id"], m, k, f"{m}{k}") for a in asked for m in "ab" for k in range(2)]
        given_scores = {
            judge: {row["candidate_id"]: rng.choice([None, 1.0, 2.0, 3.0, 4.5]) for row in answers} for judge in "abc"
        }
        scores = [[cell(row, judge, given_scores[judge][row["candidate_id"]]) for row in answers] for judge in "abc"]
        least = rng.choice([1, 2])
        exclude = rng.random() < 0.5
        expected = {}
        for row in answers:
            votes = [
                s
                for judge in "abc"
                if (s := given_scores[judge][row["candidate_id"]]) is not None
                and not (exclude and judge == row["model"])
            ]
            if len(votes) >= least:
                expected.setdefault(row["instruction_id"], []).append(sum(votes) / len(votes))
        selected, _ = choose(frames(asked, answers, scores), min_judges=least, exclude_self=exclude)
        found = dict(selected.select("instruction_id", "score").iter_rows())
        assert found == {key: pytest.approx(max(values)) for key, values in expected.items()}
