"""Candidates: a committee model's answers to the instructions.

One job per model asks it `samples` times for each instruction. A candidate's seed is derived from the instruction, the
model and the number of the sample, so it is the same in every build.
"""

from collections.abc import Collection, Iterator

import polars as pl

from holdfast.chat.control_tokens import first_control_token
from holdfast.common.ids import row_id, row_seed
from holdfast.common.tables import GENERATIONS, REJECTED_GENERATIONS
from holdfast.inference.ask import Request
from holdfast.inference.params import Sampling

_INSTRUCTIONS_AT_ONCE = 8192  # bounds the memory that the texts take


def requests(
    instructions: pl.LazyFrame, model: str, samples: int, sampling: Sampling, random_seed: int
) -> Iterator[Request]:
    """One request per candidate, by instruction_id and sample; its id is the candidate_id."""
    rows = instructions.select("instruction_id", "messages", "rendering").sort("instruction_id")
    for batch in rows.collect_batches(chunk_size=_INSTRUCTIONS_AT_ONCE, maintain_order=True):
        for instruction_id, messages, rendering in batch.iter_rows():
            conversation = tuple((turn["role"], turn["content"]) for turn in messages)
            for sample in range(samples):
                yield Request(
                    id=row_id("generation", instruction_id, model, sample),
                    prompt_ids=None,
                    messages=conversation,
                    seed=row_seed(random_seed, instruction_id, model, sample),
                    sampling=sampling,
                    rendering=rendering,
                )


def candidates(instructions: pl.LazyFrame, model: str, samples: int) -> pl.LazyFrame:
    """Columns candidate_id, instruction_id, model, sample, rendering, in the order of `requests`."""
    rows = instructions.select("instruction_id", "rendering").sort("instruction_id").collect()
    return pl.LazyFrame(
        (
            (row_id("generation", instruction_id, model, sample), instruction_id, model, sample, rendering)
            for instruction_id, rendering in rows.iter_rows()
            for sample in range(samples)
        ),
        schema={k: GENERATIONS[k] for k in ("candidate_id", "instruction_id", "model", "sample")}
        | {"rendering": pl.String},
        orient="row",
    )


def answered(candidates: pl.LazyFrame, answers: pl.LazyFrame) -> pl.LazyFrame:
    """`candidates` with the columns of their `answers` (schema ANSWERS), which come in the same order."""
    asked, found = (frame.select(column).collect() for frame, column in ((candidates, "candidate_id"), (answers, "id")))
    assert asked["candidate_id"].equals(found["id"]), "answers do not come in the order of the candidates"
    return pl.concat([candidates, answers.drop("id")], how="horizontal")


def split(rows: pl.LazyFrame, control_tokens: Collection[str]) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Answers as GENERATIONS, and those that failed, are empty or spell a control token as REJECTED_GENERATIONS.

    `rows`: `answered`, without the text of the model's template. A control token in an answer would end the turn there
    in training; the model wrote on after the end of its turn.
    """
    spelled = first_control_token(pl.col("text"), control_tokens)
    reason = (
        pl.when(pl.col("error").is_not_null())
        .then("error")
        .when(pl.col("text").str.strip_chars().str.len_chars() == 0)
        .then(pl.lit("empty"))
        .when(spelled.is_not_null())
        .then(pl.lit("control_token"))
    )
    detail = pl.when(spelled.is_not_null()).then(pl.format("contains {}", spelled)).otherwise("detail")
    rows = rows.with_columns(reason=reason, detail=detail, response="text")
    kept = rows.filter(pl.col("reason").is_null()).select(list(GENERATIONS))
    return kept, rows.filter(pl.col("reason").is_not_null()).select(list(REJECTED_GENERATIONS))
