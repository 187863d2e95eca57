"""Scores from a judge's replies: from log-probabilities, or parsed from text."""

import math
import re

import polars as pl

from holdfast.chat.judging import expected_score

_SCORE = re.compile(r"\bscore[^\w-]{0,6}([0-9]++(?:\.[0-9]++)?+)(?!\w)", re.IGNORECASE)


def read_expected(replies: pl.DataFrame, min_valid_mass: float) -> pl.DataFrame:
    """Scores from log-probabilities (`expected_score`) of replies with the columns of `ANSWERS`.

    Adds score, valid_mass and status (ok, unparsable or error).
    """
    found = [expected_score(logprobs, min_valid_mass) for logprobs in replies["logprobs"].to_list()]
    return _with_status(replies, [score for score, _ in found], [mass for _, mass in found])


def parse_score(reply: str, finish_reason: str) -> float | None:
    """The number after the last "Score:" of a finished reply, if it is between 1 and 5.

    A truncated reply has no score: its last number may be a quotation.
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
