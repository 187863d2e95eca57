"""The sandbox's measure of the committee, on answers whose truth is known."""

import itertools
import json

import numpy as np
import polars as pl
import pytest

from committees import candidate, cell, draw, frames, instruction
from holdfast.sandbox.committee_truth import graded, interval, pairwise_accuracy, report
from holdfast.sandbox.injections import injections
from holdfast.sandbox.world import world

SKILL = {"base": 0.6, "novice": 0.3, "scholar": 0.8}


def sandbox(judges, rows=200):
    """Models of known skill answer instructions of the world; a judge maps (right, draw) to a score."""
    known = list(itertools.islice(world().items(), rows))
    asked = [instruction(n, text) for n, (text, _) in enumerate(known)] + [instruction(rows, "What is the airspeed?")]
    answers = [
        candidate(row["instruction_id"], model, sample, truth.answer if draw(n, model, sample) < skill else "wrong")
        for n, (row, (_, truth)) in enumerate(zip(asked, known, strict=False))
        for model, skill in SKILL.items()
        for sample in range(3)
    ]
    answers.append(candidate(asked[-1]["instruction_id"], "base", 0, "African or European?"))
    scores = [
        [cell(r, judge, score(r["response"] != "wrong", draw(judge, r["candidate_id"]))) for r in answers]
        for judge, score in judges.items()
    ]
    instructions, generations, tables = frames(asked, answers, scores)
    return instructions, generations, dict(zip(judges, tables, strict=True))


def perfect(right, noise):
    return 5.0 if right else 1.0


def blind(right, noise):
    return 1 + 4 * noise


def test_perfect_judges_reach_the_oracle_and_blind_ones_the_random_choice():
    found = report(*sandbox(dict.fromkeys(SKILL, perfect)), "base", 0)
    assert json.loads(json.dumps(found)) == found
    accuracy = {name: part["mean"] for name, part in found["accuracy"].items()}
    assert accuracy["KxL mean"] == accuracy["oracle"]
    assert accuracy["1x1"] == accuracy["base 1x1"] == pytest.approx(0.6, abs=0.1)
    assert accuracy["KxL random"] == pytest.approx(sum(SKILL.values()) / 3, abs=0.05)
    assert found["best_single_model"] == "scholar"
    assert found["outside_the_world"] == 1
    assert found["committee_minus"]["KxL random"]["low"] > 0.2
    assert set(found["judges_tell_right_from_wrong"].values()) == {1.0}
    found = report(*sandbox(dict.fromkeys(SKILL, blind)), "base", 0)
    difference = found["committee_minus"]["KxL random"]
    assert difference["low"] < 0 < difference["high"]
    assert all(abs(part - 0.5) < 0.06 for part in found["judges_tell_right_from_wrong"].values())


def test_ties_count_half_and_no_pair_is_null():
    instructions, generations, scores = sandbox({"base": lambda right, noise: 3.0})
    truth = graded(instructions, generations)
    assert pairwise_accuracy(truth, scores["base"]) == 0.5
    assert pairwise_accuracy(truth.filter("right"), scores["base"]) is None


def test_a_committee_of_one_is_reported_too():
    instructions, generations, scores = sandbox({"base": perfect}, rows=40)
    alone = generations.filter(pl.col("model") == "base")
    found = report(instructions, alone, scores, "base", 0)
    assert set(found["candidates_right"]) == {"base"}
    assert "1xL own" in found["accuracy"]


def test_judges_who_cannot_be_calibrated_have_no_such_rung():
    instructions, generations, scores = sandbox(dict.fromkeys(("base", "scholar"), lambda right, noise: right + noise))
    two = generations.filter(pl.col("model") != "novice")
    accuracy = report(instructions, two, scores, "base", 0)["accuracy"]
    assert "KxL calibrated exclude_self" not in accuracy
    assert accuracy["KxL calibrated"]["mean"] > accuracy["KxL random"]["mean"]


def test_interval_of_a_mean():
    expectations = interval(np.array([0.25, 0.75] * 50))
    assert expectations["mean"] == 0.5
    assert expectations["high"] - expectations["low"] == pytest.approx(2 * 1.96 * 0.25 / 99**0.5, abs=1e-3)
    some = interval(np.array([1.0] * 15 + [0.0] * 133))
    assert (some["low"], some["high"]) == pytest.approx((0.0624, 0.1605), abs=5e-5)  # Newcombe 1998, table I


def test_what_is_always_right_or_never_changes_is_not_certain():
    right, same = interval(np.ones(20)), interval(np.zeros(20), difference=True)
    assert (right["mean"], right["low"], right["high"]) == pytest.approx((1.0, 1 - 0.1611, 1.0), abs=5e-5)
    assert (same["mean"], same["low"], same["high"]) == pytest.approx((0.0, -0.1611, 0.1611), abs=5e-5)


def test_the_injections_are_200_and_differ_from_their_answers():
    found = injections([f"answer {n}" for n in range(7)])
    assert len(found) == 200
    assert len({steered for _, steered in found}) == 200
    assert all(plain in steered and plain != steered for plain, steered in found)
