"""What does each judge think of each answer?

One job per judge reads all generations. Candidates of one instruction with the same text are one question to the judge;
the questions of one instruction are asked one after the other, so that the engine's prefix cache serves them.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from holdfast.errors import UserError
from holdfast.files import scan_table, write_table
from holdfast.fingerprint import read_model
from holdfast.inference import Request, ask
from holdfast.judge_prompt import judge_messages
from holdfast.params.models import Sampling
from holdfast.params.score import Score
from holdfast.params.section import read, value
from holdfast.step import arguments, run
from holdfast.tables import GENERATIONS, INSTRUCTIONS, SCORES, row_seed

DIGITS = ("1", "2", "3", "4", "5")
_SCORE = re.compile(r"\bscore[^\w-]{0,6}([0-9]++(?:\.[0-9]++)?+)(?!\w)", re.IGNORECASE)
_INSTRUCTIONS_AT_ONCE = 4096  # bounds the memory that the texts take


def questions(generations: pl.LazyFrame) -> pl.DataFrame:
    """For every candidate the one that is asked in its place: the smallest id with the same instruction and text.

    Columns candidate_id, instruction_id, asked_id, sorted by instruction_id and candidate_id.
    """
    same = pl.col("candidate_id").min().over("instruction_id", "response")
    columns = generations.select("candidate_id", "instruction_id", asked_id=same)
    return columns.sort("instruction_id", "candidate_id").collect()


def requests(
    instructions: pl.LazyFrame,
    generations: pl.LazyFrame,
    asked: pl.DataFrame,
    rubric: str,
    score: Score,
    sampling: Sampling,
    random_seed: int,
    attempt: int = 1,
) -> Iterator[Request]:
    """One request per candidate in `asked` (columns candidate_id, instruction_id), in its order of instructions.

    Seeds come from what is shown, not from ids, so that the same question is the same request in every build.
    """
    expected = score.reading == "expected"
    how = Sampling(temperature=0.0, max_tokens=1) if expected else sampling
    ids = asked["instruction_id"].unique().sort()
    for start in range(0, len(ids), _INSTRUCTIONS_AT_ONCE):
        some = ids.slice(start, _INSTRUCTIONS_AT_ONCE)
        between = pl.col("instruction_id").is_between(pl.lit(some[0]), pl.lit(some[-1]))
        rows = (
            generations.filter(between)
            .select("candidate_id", "instruction_id", "response")
            .join(asked.lazy().filter(between).select("candidate_id"), on="candidate_id", how="semi")
            .join(instructions.filter(between).select("instruction_id", "messages"), on="instruction_id")
            .sort("instruction_id", "candidate_id")
            .collect()
        )
        for candidate_id, _, answer, messages in rows.iter_rows():
            turns = [(m["role"], m["content"] or "") for m in messages]
            system = turns.pop(0)[1] if turns[0][0] == "system" else None
            shown = judge_messages(rubric, system, turns[-1][1], answer, score.reading, turns[:-1])
            content = tuple((m["role"], m["content"]) for m in shown)
            yield Request(
                id=candidate_id,
                prompt_ids=None,
                messages=content,
                seed=row_seed(random_seed, "score", attempt, *content),
                sampling=how,
                stop_ids=(),
                logprobs_of=DIGITS if expected else (),
            )


def read_expected(replies: pl.DataFrame, min_valid_mass: float) -> pl.DataFrame:
    """Scores from the log-probabilities of 1 to 5 as the first token: their expectation, if enough mass is on them.

    Takes the columns of `inference.ANSWERS`; adds score, valid_mass and status (ok, unparsable or error).
    """
    scores, masses = [], []
    for logprobs in replies["logprobs"]:
        probabilities = [0.0 if p is None else math.exp(p) for p in (logprobs if logprobs is not None else ())]
        mass = math.fsum(probabilities)
        masses.append(min(mass, 1.0) if probabilities else None)
        weighed = math.fsum(n * p for n, p in enumerate(probabilities, start=1))
        scores.append(min(5.0, max(1.0, weighed / mass)) if mass > 0 and mass >= min_valid_mass else None)
    return _with_status(replies, scores, masses)


def parse_score(reply: str, finish_reason: str) -> float | None:
    """The number after the last "Score:" of a finished reply, if it is between 1 and 5.

    A reply that was cut short may end in the middle of a quotation, so it has no score.
    """
    found = _SCORE.findall(reply) if finish_reason == "stop" else []
    number = float(found[-1]) if found else math.nan
    return number if 1 <= number <= 5 else None


def read_parsed(replies: pl.DataFrame) -> pl.DataFrame:
    """Scores from written replies; adds the same columns as `read_expected`, valid_mass null."""
    texts = zip(replies["text"], replies["finish_reason"], strict=True)
    scores = [parse_score(text or "", finish_reason) for text, finish_reason in texts]
    return _with_status(replies, scores, [None] * len(scores))


def _with_status(replies: pl.DataFrame, scores: list[float | None], masses: list[float | None]) -> pl.DataFrame:
    fine, read = pl.col("error").is_null(), pl.col("score").is_not_null()
    return replies.with_columns(
        score=pl.Series(scores, dtype=pl.Float64), valid_mass=pl.Series(masses, dtype=pl.Float64)
    ).with_columns(
        score=pl.when(fine).then("score"),
        valid_mass=pl.when(fine).then("valid_mass"),
        status=pl.when(~fine).then(pl.lit("error")).when(read).then(pl.lit("ok")).otherwise(pl.lit("unparsable")),
    )


def most_attempts(score: Score, sampling: Sampling) -> int:
    """How often one question is asked at most; a greedy judge would only repeat itself."""
    return score.attempts if score.reading == "parse" and sampling.temperature > 0 else 1


def main() -> None:
    args = arguments(__doc__, "judge", "rubric", "instructions", "scores", many=("generations",))
    score = read(args.params, "score", Score)
    model = read_model(args.params, args.judge)
    sampling = score.judges[args.judge].sampling.over(score.sampling)
    random_seed = value(args.params, "random_seed")
    rubric = Path(args.rubric).read_text(encoding="utf-8")
    if not rubric.strip():
        raise UserError(f"{args.rubric}: the rubric is empty; write one, or use data/seed/rubric.md")
    instructions = scan_table(args.instructions, INSTRUCTIONS)
    generations = pl.concat([scan_table(path, GENERATIONS) for path in sorted(args.generations)])

    candidates = questions(generations)
    left = candidates.filter(pl.col("candidate_id") == pl.col("asked_id"))
    attempts = most_attempts(score, sampling)
    done = []
    for attempt in range(1, attempts + 1):
        asking = requests(instructions, generations, left, rubric, score, sampling, random_seed, attempt)
        replies = ask(
            args.judge, model, asking, len(left), step="score", output=args.scores, text_column="raw"
        ).collect()
        expected = score.reading == "expected"
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
            reading=pl.lit(score.reading),
            raw=pl.coalesce(pl.format("{}: {}", "error", pl.col("detail").fill_null("")), "text"),
            request_key=pl.when(pl.col("error").is_null()).then("request_key"),
        )
        .select(list(SCORES))
    )
    assert table["status"].null_count() == 0, "a candidate without an answer from the engine"
    write_table(table, args.scores, SCORES)
    counts = dict(table["status"].value_counts().sort("status").iter_rows())
    print(f"score {args.judge}: " + ", ".join(f"{n} {status}" for status, n in counts.items()), flush=True)


if __name__ == "__main__":
    run(main)
