"""Judges whose replies are no scores: named by the pilot, with what they reply and what to do."""

from pathlib import Path

import polars as pl

from holdfast.common.files import scan_table
from holdfast.common.tables import SCORES
from holdfast.params.schema import Params
from holdfast.steps.report.page import clip

LEAST_READ = 0.9  # share of a judge's replies with a score; below it the pilot speaks up
HEADS, HEAD = 3, 60  # examples of replies, and characters of each


def unread(params: Params) -> list[str]:
    """A sentence for every judge without a score in more than a tenth of its replies. Called in the pilot's folder."""
    paths = {judge: f"data/score/{judge}.parquet" for judge in params.score.judges}
    found = [(judge, scan_table(path, SCORES).collect()) for judge, path in paths.items() if Path(path).exists()]
    return [sentence for judge, scores in found if (sentence := unread_in_words(judge, scores, params))]


def unread_in_words(judge: str, scores: pl.DataFrame, params: Params) -> str:
    """What this judge replied instead of scores (SCORES), and the repair; empty where it is fit."""
    failed = scores.filter(pl.col("score").is_null())
    if not failed.height or 1 - failed.height / scores.height >= LEAST_READ:
        return ""
    heads = failed["raw"].fill_null("").str.strip_chars().value_counts().sort("count", "raw", descending=[True, False])
    shown = ", ".join(f"{clip(text, HEAD)!r} ({n:,})" for text, n in heads.head(HEADS).iter_rows())
    if params.score.method == "expected":
        mass = failed["valid_mass"].mean()
        read = "" if mass is None else f" The digits 1 to 5 have {float(mass):.0%} of the probability"  # type: ignore[arg-type]
        why = f"{read} as its first token; {params.score.min_valid_mass:.0%} are needed." if read else ""
        repair = "score.method: parse, where the model writes 'Score: N' when asked to"
    else:
        why, repair = "", "a higher score.sampling.max_tokens, where the replies are cut off before 'Score: N'"
    return (
        f"judge {judge}: {failed.height:,} of {scores.height:,} replies are no score: {shown}.{why}"
        f" Try {repair}; or other models as score.judges; or filter.selected.judges: [] to choose answers at random."
    )
