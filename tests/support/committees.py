"""Made-up committees: instructions, generations and scores as tables, for tests and benches."""

from collections.abc import Callable
from typing import Any

import polars as pl
from hypothesis import strategies as st

from holdfast.common.ids import row_id, row_seed
from holdfast.common.tables import GENERATIONS, INSTRUCTIONS, SCORES
from holdfast.steps.filter.params import Selection
from holdfast.steps.filter.selection import select

SELECTIONS = st.fixed_dictionaries(  # parameters of a selection
    {
        "aggregate": st.sampled_from(["mean", "calibrated", "median"]),
        "exclude_self": st.booleans(),
        "keep": st.sampled_from(["best", "all"]),
        "min_score": st.one_of(st.none(), st.floats(1, 3)),
    }
)

Frames = tuple[pl.LazyFrame, pl.LazyFrame, list[pl.LazyFrame]]


def instruction(number: int, text: str | None = None, system: str | None = None) -> dict[str, object]:
    """A row of `tables.INSTRUCTIONS`."""
    text = text or f"question {number}"
    turns = [{"role": "system", "content": system}] if system else []
    return {
        **dict.fromkeys(INSTRUCTIONS),
        "instruction_id": row_id("instruction", number),
        "instruction": text,
        "messages": [*turns, {"role": "user", "content": text}],
        "system": system,
        "count": 1,
    }


def candidate(
    instruction_id: str, model: str, sample: int, response: str, finish_reason: str = "stop"
) -> dict[str, object]:
    """A row of `tables.GENERATIONS`."""
    return {
        **dict.fromkeys(GENERATIONS),
        "candidate_id": row_id(instruction_id, model, sample),
        "instruction_id": instruction_id,
        "model": model,
        "sample": sample,
        "response": response,
        "finish_reason": finish_reason,
        "output_tokens": len(response),
    }


def cell(row: dict[str, object], judge: str, score: float | None) -> dict[str, object]:
    """A row of `tables.SCORES` about the candidate in `row`."""
    return {
        **dict.fromkeys(SCORES),
        "candidate_id": row["candidate_id"],
        "instruction_id": row["instruction_id"],
        "judge": judge,
        "score": score,
        "method": "expected",
        "valid_mass": 1.0,
        "status": "unparsable" if score is None else "ok",
        "attempts": 1,
    }


def draw(*parts: object) -> float:
    """A number in [0, 1) that depends on `parts` alone."""
    return row_seed(0, *parts) / 2**31


def committee(
    instructions: int, models: list[str], samples: int, judges: dict[str, Callable[[dict[str, object]], float | None]]
) -> Frames:
    """Every model answers every instruction `samples` times; `judges` maps a judge to its score of a generation."""
    asked = [instruction(n) for n in range(instructions)]
    answers = [
        candidate(str(row["instruction_id"]), model, sample, f"answer {n} {model} {sample}")
        for n, row in enumerate(asked)
        for model in models
        for sample in range(samples)
    ]
    scores = [[cell(row, judge, score(row)) for row in answers] for judge, score in judges.items()]
    return frames(asked, answers, scores)


def frames(asked: list[dict], answers: list[dict], scores: list[list[dict]]) -> Frames:
    """Rows as lazy tables with the right schemas."""
    return (
        pl.LazyFrame(asked, schema=INSTRUCTIONS),
        pl.LazyFrame(answers, schema=GENERATIONS),
        [pl.LazyFrame(rows, schema=SCORES) for rows in scores],
    )


def noisy(judge: str, **leniency: float) -> Callable[[dict[str, object]], float]:
    """A judge who sees a quality of the candidate, with noise; `leniency` adds points for a model's answers."""

    def score(row: dict[str, object]) -> float:
        quality = 1 + 3 * draw("quality", row["candidate_id"])
        noise = draw("noise", judge, row["candidate_id"]) - 0.5
        return quality + noise + leniency.get(str(row["model"]), 0.0)

    return score


THREE = {judge: noisy(judge) for judge in ("base", "scholar", "novice")}


def choose(tables: Frames, seed: int = 0, **how: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Selected and rejected rows of a selection with these settings."""
    selected, rejected = select(*tables, Selection(**how), seed)
    return selected.collect(), rejected.collect()
