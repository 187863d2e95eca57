"""How does each committee model answer?

One job per model asks it `samples` times for every instruction. A candidate's seed comes from the instruction, the
model and the sample's number, so it is the same in every build, whatever else is asked beside it.
"""

from collections.abc import Iterator

import polars as pl

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
    """Columns candidate_id, instruction_id, model, sample, in the order of `requests`."""
    ids = instructions.select("instruction_id").sort("instruction_id").collect()["instruction_id"]
    return pl.LazyFrame(
        ((row_id("generation", i, model, sample), i, model, sample) for i in ids for sample in range(samples)),
        schema={k: GENERATIONS[k] for k in ("candidate_id", "instruction_id", "model", "sample")},
        orient="row",
    )


def split(candidates: pl.LazyFrame, answers: pl.LazyFrame) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """The answers as GENERATIONS, and those that failed or are empty as REJECTED_GENERATIONS.

    `answers` (schema `holdfast.inference.ANSWERS`) come in the order of `candidates`.
    """
    rows = pl.concat([candidates, answers.drop("id")], how="horizontal").with_columns(
        reason=pl.when(pl.col("error").is_not_null())
        .then("error")
        .when(pl.col("text").str.strip_chars().str.len_chars() == 0)
        .then(pl.lit("empty")),
        response="text",
    )
    kept = rows.filter(pl.col("reason").is_null()).select(list(GENERATIONS))
    return kept, rows.filter(pl.col("reason").is_not_null()).select(list(REJECTED_GENERATIONS))
