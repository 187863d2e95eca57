"""One judge's answers: about all candidates, or about one shard of them."""

import argparse
from pathlib import Path
from typing import NamedTuple

import polars as pl

from holdfast.common.errors import UserError
from holdfast.common.files import scan_table, scan_tables
from holdfast.common.section import read, value
from holdfast.common.tables import GENERATIONS, INSTRUCTIONS
from holdfast.inference.ask import ask
from holdfast.inference.failures import Failures
from holdfast.inference.fingerprint import read_model
from holdfast.inference.shards import Shard
from holdfast.steps.score.params import Score
from holdfast.steps.score.requests import most_attempts, questions, requests
from holdfast.steps.score.scores import read_expected, read_parsed


class Judged(NamedTuple):
    """All candidates (as `questions` returns them), how they are scored, and the answers in frames, one per attempt."""

    candidates: pl.DataFrame
    method: str
    answers: list[pl.DataFrame]


def judge_all(args: argparse.Namespace, earlier: str, shard: Shard | None = None) -> Judged:
    """Ask `args.judge` for what is not in the journal. `earlier` is the table whose last version may have answers.

    An answer without a score is asked for again, in its shard. Raises UserError when the rubric is empty.
    """
    score = read(args.params, "score", Score)
    model = read_model(args.params, args.judge)
    sampling = score.judges[args.judge].sampling.over(score.sampling)
    random_seed = value(args.params, "random_seed")
    rubric = Path(args.rubric).read_text(encoding="utf-8")
    if not rubric.strip():
        raise UserError(f"{args.rubric}: the rubric is empty; write one, or set score.rubric to data/seed/rubric.md")
    instructions = scan_table(args.instructions, INSTRUCTIONS)
    generations = scan_tables(args.generations, GENERATIONS)

    candidates = questions(generations)
    left = candidates.filter(pl.col("candidate_id") == pl.col("asked_id"))
    total = shard.rows(len(left)) if shard else len(left)
    attempts = most_attempts(score, sampling)
    done, failures = [], Failures(f"score {args.judge}", total, model.max_failed_share)
    for attempt in range(1, attempts + 1):
        asking = requests(instructions, generations, left, rubric, score, sampling, random_seed, attempt)
        replies = ask(
            args.judge,
            model,
            asking,
            len(left),
            step="score",
            output=earlier,
            text_column="raw",
            failures=failures,
            shard=shard if attempt == 1 else None,  # later attempts are of the shard's own rows
            sharded=shard is None and model.shards > 1,
        ).collect()
        expected = score.method == "expected"
        answers = read_expected(replies, score.min_valid_mass) if expected else read_parsed(replies)
        again = (pl.col("status") == "unparsable") & (attempt < attempts)
        done.append(answers.filter(~again).with_columns(attempts=pl.lit(attempt, pl.Int64)))
        left = left.join(answers.filter(again), left_on="candidate_id", right_on="id", how="semi")
        if left.is_empty():
            break
    return Judged(candidates, score.method, done)
