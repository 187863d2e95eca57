"""Figures of the model calls of one job: rows and tokens expected, by what was measured, beside upper bounds."""

from collections.abc import Iterable
from typing import NamedTuple

import polars as pl

from holdfast.common.errors import UserError
from holdfast.inference.ask import Request, pending
from holdfast.inference.fingerprint import fingerprint
from holdfast.inference.journal import ROOT, Journal
from holdfast.inference.params import Model
from holdfast.inference.shards import Shard
from holdfast.inference.token_estimate import prompt_tokens as estimated_prompt

ASSUMED_LENGTH = 0.5  # of max_tokens, where no model has answered in the step before


class Rows(NamedTuple):
    """What one job asks of one model. Rows and tokens are those expected; `most_…` are upper bounds."""

    model: str
    asked: int | None  # None: not counted, for the reason in `uncounted`
    reused: int = 0
    most_asked: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    most_output_tokens: int = 0
    hours: float | None = 0.0  # None: unknown
    cost: float = 0.0  # in `currency`, as expected
    most_cost: float = 0.0
    currency: str = "USD"
    exact: bool = True  # the rows are counted, not estimated
    basis: tuple[str, ...] = ()  # what the estimates rest on, for people
    uncounted: str = ""


class Counted(NamedTuple):
    """Requests against the journal. Prompt tokens are an upper estimate, where tokenizers differ."""

    asked: int
    reused: int
    prompt_tokens: int
    most_output_tokens: int


class Measured(NamedTuple):
    """Of a model in a step: its engine's start, rows per second, means of a row's tokens; None: nothing is known."""

    start_s: float
    rows_per_s: float | None
    prompt_tokens: float | None
    output_tokens: float | None


def count(
    name: str,
    model: Model,
    requests: Iterable[Request],
    there: bool,
    output: str | None = None,
    text_column: str = "text",
    shard: Shard | None = None,
) -> Counted:
    """Count requests; all are to be asked of a model that is not `there` yet."""
    if there:
        return Counted(*pending(name, model, requests, output, text_column, shard)[:4])
    asked = prompt = output_tokens = 0
    for request in requests:
        asked += 1
        prompt += estimated_prompt(request)
        output_tokens += request.sampling.max_tokens
    of = shard.of if shard else 1
    return Counted(*(round(number / of) for number in (asked, 0, prompt, output_tokens)))


def measured(name: str, model: Model, step: str) -> Measured:
    """From the model's journal."""
    try:
        journal = Journal(fingerprint(name, model, online=False), write=False)
    except UserError:  # no such model yet
        return Measured(0.0, model.rates.rows_per_s, None, None)
    return Measured(journal.start_s(), model.rates.rows_per_s or journal.speed(step), *journal.mean_tokens(step))


def usual_output(step: str) -> float | None:
    """The mean of output tokens of all models' answers in the step."""
    chunks = sorted(ROOT.glob("*/*.parquet"))
    if not chunks:
        return None
    rows = pl.scan_parquet(chunks, glob=False).filter((pl.col("step") == step) & pl.col("error").is_null())
    found: float | None = rows.select(pl.mean("output_tokens")).collect().item()
    return found


def figures(
    name: str,
    model: Model,
    step: str,
    asked: float,
    reused: float,
    most: Counted,
    exact: bool = True,
    basis: tuple[str, ...] = (),
) -> Rows:
    """The figures of rows that are expected to be `asked`; `most`: what they can be at most."""
    known = measured(name, model, step)
    longest = most.most_output_tokens / most.asked if most.asked else 0.0
    output = known.output_tokens
    if output is None and asked and longest > 1:
        output = usual_output(step)
        how = "as long as other models' here" if output is not None else f"{ASSUMED_LENGTH:.0%} of max_tokens long"
        basis = (*basis, f"assumed: answers in {step} are {how}, where a model has none there yet")
        output = longest * ASSUMED_LENGTH if output is None else output
    output = longest if output is None else min(output, longest)
    prompt = most.prompt_tokens / most.asked if most.asked else 0.0
    prompt = prompt if known.prompt_tokens is None else known.prompt_tokens
    seconds = 0.0 if not round(asked) else known.start_s + asked / known.rows_per_s if known.rows_per_s else None
    return Rows(
        name,
        round(asked),
        round(reused),
        most.asked,
        round(asked * prompt),
        round(asked * output),
        most.most_output_tokens,
        None if seconds is None else seconds / 3600,
        model.rates.cost(asked * prompt, asked * output),
        model.rates.cost(most.prompt_tokens, most.most_output_tokens),
        model.rates.currency,
        exact,
        basis,
    )
