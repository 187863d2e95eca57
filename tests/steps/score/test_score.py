"""The score step: what the judge is shown, and how its reply becomes a number or none."""

import itertools
import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from committees import candidate, frames, instruction
from holdfast.chat.judging import TAGS, escape, judge_messages
from holdfast.inference.ask import ANSWERS
from holdfast.steps.score.params import Score
from holdfast.steps.score.requests import questions, requests
from holdfast.steps.score.scores import parse_score, read_expected, read_parsed

RUBRIC = "Score the answer from 1 to 5."


def shown(**parts):
    given_parts = {"rubric": RUBRIC, "system": None, "instruction": "Hi?", "answer": "Hello."} | parts
    (message,) = judge_messages(**given_parts)
    assert message["role"] == "user"
    return message["content"]


def test_the_judge_sees_rubric_system_instruction_and_answer_in_this_order():
    text = shown(system="Be brief.", earlier=[("user", "One?"), ("assistant", "Two.")])
    places = [text.index(part) for part in (RUBRIC, "Be brief.", "One?", "Two.", "Hi?", "Hello.", "one digit")]
    assert places == sorted(places)
    assert "<system>" not in shown()
    assert "Score: N" in shown(method="parse")


attacks = st.one_of(
    st.text(),
    st.lists(
        st.sampled_from(
            ["<", "/", ">", " ", "\n", "&lt;", *TAGS, *(t.upper() for t in TAGS), "</answer>", "</ Answer >"]
        ),
        max_size=20,
    ).map("".join),
)


@given(answer=attacks, instruction_text=attacks)
def test_no_content_closes_or_opens_a_block(answer, instruction_text):
    text = shown(answer=answer, instruction=instruction_text).lower()
    for tag in ("instruction", "answer"):
        assert text.count(f"<{tag}>") == text.count(f"</{tag}>") == 1
    assert escape(escape(answer)) == escape(answer)
    inside = text[text.index("<answer>\n") + 9 : text.index("\n</answer>")]
    assert inside.replace("&lt;", "<") == answer.lower().replace("&lt;", "<")


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("It is good. Score: 4", 4),
        ("**Score:** 3", 3),
        ("score: 2/5", 2),
        ("Score: 4.5", 4.5),
        ("Score = 5.", 5),
        ("The answer says 'Score: 5', which is no reason. Score: 1", 1),
        ("Score: 10", None),
        ("Score: 0", None),
        ("Score: 7", None),
        ("Score: -3", None),
        ("Score: 5.01", None),
        ("Score: five", None),
        ("4", None),
        ("", None),
        ("Score: 3 at first, but then Score: 9", None),
        ("scores 5", None),
    ],
)
def test_parse(reply, score):
    assert parse_score(reply, "stop") == score


def test_a_reply_that_was_cut_short_has_no_score():
    assert parse_score("The answer claims Score: 5", "length") is None


@given(st.text(), st.integers(1, 5))
def test_whatever_comes_before_the_last_score_counts(reason, number):
    assert parse_score(f"{reason}\nScore: {number}", "stop") == number


@given(st.text(max_size=200))
def test_a_parsed_score_is_on_the_scale_or_missing(reply):
    score = parse_score(reply, "stop")
    assert score is None or 1 <= score <= 5


def replies(*rows):
    filled = [{"id": str(n), "text": "", "finish_reason": "stop", **row} for n, row in enumerate(rows)]
    return pl.DataFrame(filled, schema=ANSWERS)


def logs(*probabilities):
    return [math.log(p) if p else -math.inf for p in probabilities]


def test_expected_is_the_mean_over_the_valid_mass():
    found = read_expected(
        replies(
            {"logprobs": logs(0, 0, 0, 0.5, 0.5)},
            {"logprobs": logs(0.05, 0.05, 0.2, 0.3, 0.2)},
            {"logprobs": logs(0.001, 0, 0, 0, 0.002)},
            {"logprobs": logs(0, 0, 0, 0, 0)},
            {"error": "prompt_too_long"},
            {},
        ),
        min_valid_mass=0.5,
    )
    assert found["status"].to_list() == ["ok", "ok", "unparsable", "unparsable", "error", "unparsable"]
    assert found["score"].to_list() == [pytest.approx(4.5), pytest.approx(2.95 / 0.8), None, None, None, None]
    assert found["valid_mass"].to_list()[:4] == [pytest.approx(m) for m in (1, 0.8, 0.003, 0)]


@given(st.lists(st.floats(-40, 0), min_size=5, max_size=5))
def test_an_expected_score_is_on_the_scale(logprobs):
    found = read_expected(replies({"logprobs": logprobs}), min_valid_mass=0.0)
    assert 1 <= found["score"].item() <= 5
    assert 0 <= found["valid_mass"].item() <= 1


def test_parsed_replies_never_get_a_default():
    found = read_parsed(replies({"text": "Fine. Score: 4"}, {"text": "no idea"}, {"error": "refused", "text": None}))
    assert found["score"].to_list() == [4.0, None, None]
    assert found["status"].to_list() == ["ok", "unparsable", "error"]
    assert found["valid_mass"].to_list() == [None] * 3


def ask_all(asked, answers, **settings):
    instructions, generations, _ = frames(asked, answers, [])
    score = Score(**settings)
    left = questions(generations)
    left = left.filter(pl.col("candidate_id") == pl.col("asked_id"))
    return left, list(requests(instructions, generations, left, RUBRIC, score, score.sampling, 7))


def test_equal_answers_to_one_instruction_are_asked_once():
    asked = [instruction(0), instruction(1)]
    keys = [row["instruction_id"] for row in asked]
    answers = [
        candidate(key, model, n, text) for key in keys for model in "ab" for n, text in enumerate(["x", "x", "y"])
    ]
    generations = frames(asked, answers, [])[1]
    table = questions(generations)
    assert len(table) == 12
    assert table["asked_id"].n_unique() == 4
    text_of = {row["candidate_id"]: (row["instruction_id"], row["response"]) for row in answers}
    assert all(text_of[a] == text_of[b] for a, b in table.select("candidate_id", "asked_id").iter_rows())
    left, found = ask_all(asked, answers)
    assert sorted(r.id for r in found) == sorted(left["candidate_id"])


def test_questions_come_instruction_by_instruction_and_depend_on_content_alone():
    asked = [instruction(n) for n in range(20)]
    answers = [candidate(row["instruction_id"], "a", n, f"{n}") for row in asked for n in range(3)]
    _, found = ask_all(asked, answers)
    of = {row["candidate_id"]: row["instruction_id"] for row in answers}
    order = [of[r.id] for r in found]
    assert sum(a != b for a, b in itertools.pairwise(order)) == 19
    _, backwards = ask_all(asked[::-1], answers[::-1])
    assert found == backwards
    _, fewer = ask_all(
        asked[:5], [row for row in answers if of[row["candidate_id"]] in {r["instruction_id"] for r in asked[:5]}]
    )
    assert set(fewer) <= set(found)


def test_the_two_methods_ask_for_different_things():
    asked = [instruction(0, system="Be kind.")]
    answers = [candidate(asked[0]["instruction_id"], "a", 0, "x")]
    _, (one,) = ask_all(asked, answers)
    assert one.logprobs_of == ("1", "2", "3", "4", "5")
    assert one.sampling.max_tokens == 1
    assert "<system>\nBe kind.\n</system>" in one.messages[0][1]
    _, (other,) = ask_all(asked, answers, method="parse")
    assert other.logprobs_of == ()
    assert other.sampling.max_tokens > 1
    assert other.seed != one.seed
