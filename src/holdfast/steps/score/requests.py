"""The requests to a judge: one for each distinct answer to an instruction.

The answers to one instruction are judged one after the other, so that the engine's prefix cache is used.
"""

from collections.abc import Iterator

import polars as pl

from holdfast.chat.judging import RATINGS, judge_messages
from holdfast.common.ids import row_seed
from holdfast.inference.ask import Request
from holdfast.inference.params import Sampling
from holdfast.steps.score.params import Score

_INSTRUCTIONS_AT_ONCE = 4096  # bounds the memory that the texts take


def questions(generations: pl.LazyFrame) -> pl.DataFrame:
    """For every candidate the one that is judged in its place: the smallest id with the same instruction and text.

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

    Seeds are derived from the text that is shown, so equal texts are the same request in every build.
    """
    expected = score.method == "expected"
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
            shown = judge_messages(rubric, system, turns[-1][1], answer, score.method, turns[:-1])
            content = tuple((m["role"], m["content"]) for m in shown)
            yield Request(
                id=candidate_id,
                prompt_ids=None,
                messages=content,
                seed=row_seed(random_seed, "score", attempt, *content),
                sampling=how,
                stop_ids=(),
                logprobs_of=RATINGS if expected else (),
            )


def most_attempts(score: Score, sampling: Sampling) -> int:
    """How often an answer is judged at most, until a score can be read; greedy replies would not differ."""
    return score.attempts if score.method == "parse" and sampling.temperature > 0 else 1
