"""Models' answers to the suites and judges' scores of them: each model in its own process, one at a time."""

from pathlib import Path

import polars as pl

from holdfast.chat.judging import expected_score
from holdfast.common.errors import UserError
from holdfast.common.processes import in_own_process
from holdfast.inference.ask import Request, ask
from holdfast.inference.fingerprint import read_model
from holdfast.inference.params import Model
from holdfast.inference.shards import Shard
from holdfast.steps.evaluate.params import JudgeSuite
from holdfast.steps.evaluate.requests import Questions, judge_requests

MIN_VALID_MASS = 0.5  # below this probability of 1 to 5 taken together an answer is not graded


def answer_all(
    name: str, model: Model, prompts: list[Request], shard: Shard | None = None, sharded: bool = False
) -> pl.DataFrame:
    """The answers to `prompts`, or to those of the shard, as one table (schema of `ask`)."""
    return ask(name, model, prompts, len(prompts), step="evaluate", shard=shard, sharded=sharded).collect()


def judge_answers(asked: Questions, replies: pl.DataFrame, declared: str) -> dict[str, float | None]:
    """The scores that each suite's judge gives, 1 to 5, by request id; None where it names none."""
    suites = {name: suite for name, suite, _ in asked.values() if isinstance(suite, JudgeSuite)}
    answers = dict(replies.filter(pl.col("error").is_null()).select("id", "text").iter_rows())
    rubrics = {}
    for name, suite in suites.items():
        try:
            rubrics[name] = Path(suite.rubric).read_text(encoding="utf-8")
        except OSError as error:
            raise UserError(
                f"{suite.rubric}: {error.strerror}; evaluate.suites.{name}.rubric must name a text file"
            ) from error
    scores: dict[str, float | None] = {}
    for judge in sorted({suite.judge for suite in suites.values()}):
        prompts = list(judge_requests(asked, answers, judge, rubrics))
        model = read_model(declared, judge)
        found = in_own_process(f"judge {judge}", answer_all, judge, model, prompts)
        for reply in found.iter_rows(named=True):
            scores[reply["id"]] = expected_score(None if reply["error"] else reply["logprobs"], MIN_VALID_MASS)[0]
    return scores
