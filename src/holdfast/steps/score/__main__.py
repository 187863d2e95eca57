"""score: one judge scores every candidate answer."""

from pathlib import Path

import polars as pl

from holdfast.common.errors import UserError
from holdfast.common.files import scan_table, scan_tables, write_table
from holdfast.common.section import read, value
from holdfast.common.step import arguments, run
from holdfast.common.tables import GENERATIONS, INSTRUCTIONS, SCORES
from holdfast.inference.ask import ask
from holdfast.inference.failures import Failures
from holdfast.inference.fingerprint import read_model
from holdfast.steps.score.params import Score
from holdfast.steps.score.requests import most_attempts, questions, requests
from holdfast.steps.score.scores import read_expected, read_parsed


def main() -> None:
    args = arguments(__doc__, "judge", "rubric", "instructions", "scores", many=("generations",))
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
    attempts = most_attempts(score, sampling)
    done, failures = [], Failures(f"score {args.judge}", len(left), model.max_failed_share)
    for attempt in range(1, attempts + 1):
        asking = requests(instructions, generations, left, rubric, score, sampling, random_seed, attempt)
        replies = ask(
            args.judge,
            model,
            asking,
            len(left),
            step="score",
            output=args.scores,
            text_column="raw",
            failures=failures,
        ).collect()
        expected = score.method == "expected"
        answers = read_expected(replies, score.min_valid_mass) if expected else read_parsed(replies)
        again = (pl.col("status") == "unparsable") & (attempt < attempts)
        done.append(answers.filter(~again).with_columns(attempts=pl.lit(attempt, pl.Int64)))
        left = left.join(answers.filter(again), left_on="candidate_id", right_on="id", how="semi")
        if left.is_empty():
            break
    table = (
        candidates.join(pl.concat(done), left_on="asked_id", right_on="id", how="left", maintain_order="left")
        .with_columns(
            judge=pl.lit(args.judge),
            method=pl.lit(score.method),
            raw=pl.coalesce(pl.format("{}: {}", "error", pl.col("detail").fill_null("")), "text"),
            request_key=pl.when(pl.col("error").is_null()).then("request_key"),
        )
        .select(list(SCORES))
    )
    assert table["status"].null_count() == 0, "a candidate was not judged"
    write_table(table, args.scores, SCORES)
    counts = dict(table["status"].value_counts().sort("status").iter_rows())
    print(f"score {args.judge}: " + ", ".join(f"{n:,} {status}" for status, n in counts.items()), flush=True)


if __name__ == "__main__":
    run(main)
