"""Limits on what is asked of an endpoint: rate, spending cap, share of failed rows."""

import asyncio
import json
import re

import pytest

from holdfast.common.errors import UserError
from holdfast.inference.ask import Request, ask
from holdfast.inference.engines import openai
from holdfast.inference.engines.openai import Pace
from holdfast.inference.failures import Failures
from holdfast.inference.params import Rates
from server import SAMPLING, model, only, questions, served

pytestmark = pytest.mark.usefixtures("endpoint_job")


def test_the_spending_cap_stops_cleanly_and_the_next_run_goes_on():
    rates = Rates(input_per_million_tokens=1e6, output_per_million_tokens=1e6)  # one unit of money a token
    with served() as server:
        capped = model(server, rates=rates, spending_cap=200.0, concurrency=4)
        with pytest.raises(UserError, match=r"spending_cap reached: .* of 200\.00 USD\. Finished") as stopped:
            ask("m", capped, questions(100), 100, step="test")
        first = sum(server.answered.values())
        assert 10 < first < 100
        assert float(re.search(r"spent ([\d.]+) of", str(stopped.value))[1]) <= 200
        with pytest.raises(UserError, match="this job has spent"):
            ask("m", capped, questions(100), 100, step="test")
        again = sum(server.answered.values())
        assert again < 1.5 * first, "what a model spent counts over all that a job asks"
        openai.SPENT.clear()  # as in another job
        with pytest.raises(UserError, match="spending_cap"):
            ask("m", capped, questions(100), 100, step="test")
        assert 1.5 * first < sum(server.answered.values()) < 100
        ask("m", model(server, rates=rates), questions(100), 100, step="test")
    assert set(server.answered.values()) == {1}
    with pytest.raises(UserError, match="spending_cap: needs prices"):
        ask("m", model(server, spending_cap=1.0), questions(101), 101, step="test")


@pytest.mark.parametrize(("per_minute", "costs"), [(60.0, [1, 1, 1, 1]), (600.0, [10, 5, 20])])
def test_a_pace_books_what_was_spent(monkeypatch, per_minute, costs):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr(openai.asyncio, "sleep", sleep)
    monkeypatch.setattr(openai.time, "monotonic", lambda: 100.0)
    pace = Pace(per_minute)
    for cost in costs:
        asyncio.run(pace.wait(cost))
    assert slept == pytest.approx([sum(costs[:i]) * 60 / per_minute for i in range(len(costs))])
    pace.settle(costs[0], 0)
    assert pace.free_at == pytest.approx(100 + sum(costs[1:]) * 60 / per_minute)


def test_the_share_of_failures_is_of_all_rows_of_the_step():
    """A retry of ten rows left over, at which one fails: 10 % of the call, 1 % of the step."""
    with served(only(7, 503, {}, "busy")) as server:
        ask("m", model(server, max_failed_share=1.0), questions(100), 100, step="test")
        settings = model(server, max_failed_share=0.05)
        again = [question._replace(seed=question.seed + 1) for question in questions(10)]
        with pytest.raises(UserError, match=r"1 of 10 rows failed, more than max_failed_share \(0\.05\)"):
            ask("m", settings, again, 10, step="test")
        step = Failures("test m", 100, settings.max_failed_share)
        found = ask("m", settings, again, 10, step="test", failures=step).collect()
        assert found["error"].drop_nulls().to_list() == ["http_503"]
        server.misbehave = lambda body, attempt: (503, {}, "busy")
        with pytest.raises(UserError, match=r"6 of 100 rows failed.*6 x http_503"):  # with the one before
            ask("m", settings, questions(5, start=200), 5, step="test", failures=step)


class Counting:
    """Reports so many tokens for each character of a prompt, and spends as the endpoint does."""

    def __init__(self, per_character):
        self.per_character, self.spent = per_character, 0

    def __call__(self, body, attempt):
        prompt = body["messages"][0]["content"]
        tokens = {"prompt_tokens": int(self.per_character * len(prompt)), "completion_tokens": body["max_tokens"]}
        self.spent += sum(tokens.values())
        choice = {"finish_reason": "stop", "message": {"role": "assistant", "content": "好"}}
        return 200, {}, json.dumps({"choices": [choice], "usage": tokens})


@pytest.mark.parametrize("per_character", [0.3, 1.0, 1.39])
@pytest.mark.parametrize("concurrency", [1, 32])
def test_the_cap_holds_for_scripts_without_spaces(per_character, concurrency):
    rates = Rates(input_per_million_tokens=1e6, output_per_million_tokens=1e6)  # one unit of money a token
    asked = [Request(f"r{i}", None, (("user", f"{i}" + "人人生而自由" * 50),), i, SAMPLING) for i in range(100)]
    with served(counting := Counting(per_character)) as server:
        capped = model(server, rates=rates, spending_cap=10_000.0, concurrency=concurrency)
        with pytest.raises(UserError, match=r"of 10,000\.00 USD"):
            ask("m", capped, asked, len(asked), step="test")
    assert 9_000 < counting.spent <= 10_000


def test_the_cap_holds_where_the_endpoint_counts_more_than_was_estimated():
    rates = Rates(input_per_million_tokens=1e6, output_per_million_tokens=1e6)
    with served(counting := Counting(5.0)) as server:
        capped = model(server, rates=rates, spending_cap=5_000.0, concurrency=4)
        with pytest.raises(UserError, match="spending_cap"):
            ask("m", capped, questions(200), 200, step="test")
    assert counting.spent <= 5_000


def test_answers_that_are_paid_for_and_not_usable_count_towards_the_cap():
    rates = Rates(input_per_million_tokens=1e6, output_per_million_tokens=1e6)
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    filtered = {"choices": [{"finish_reason": "content_filter", "message": {"content": ""}}], "usage": usage}
    with served(lambda body, n: (200, {}, json.dumps(filtered))) as server:
        capped = model(server, rates=rates, spending_cap=300.0, max_failed_share=1.0, concurrency=2)
        with pytest.raises(UserError, match=r"of 300\.00 USD"):
            ask("m", capped, questions(100), 100, step="test")
        assert sum(server.tries.values()) <= 20
