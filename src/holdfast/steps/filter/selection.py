"""Which candidates are kept, and the reason of each rejected one."""

import polars as pl

from holdfast.common.errors import UserError
from holdfast.common.ids import row_id
from holdfast.common.tables import REJECTED_CANDIDATES, SELECTED
from holdfast.steps.filter.aggregation import aggregate, calibrate, column, counted_columns, join_scores, varying_judges
from holdfast.steps.filter.params import Selection
from holdfast.text.language import differ

REPAIRS = {  # by the commonest reason, when nothing is kept; keys are the selection's where no section is named
    "no_score": "the judges' replies have no score (column `status` of data/score/*.parquet), or exclude_self or"
    " min_judges leaves none. Use judges that follow score.rubric, or set judges: [] to choose at random",
    "low_score": "lower min_score",
    "truncated": "raise generate.sampling.max_tokens, or set truncated: true",
    "too_short": "lower min_chars",
    "too_long": "raise max_chars",
    "refusal": "set refusals: true",
    "language": "set same_language: false",
    "empty": "the answers are empty; read data/generate/*.parquet",
}
# How aligned models begin a refusal. Only the beginning counts: a good answer may apologise further down.
REFUSAL = (
    r"(?i)^\W*("
    r"i['’]?m (very |so |really )?sorry,? (but )?(i|as)\b|sorry,? (but )?(i|as)\b|i apologi[sz]e,? but"
    r"|(unfortunately,? |i['’]?m afraid )?i (can ?not|can['’]t|could not|am unable to|won['’]t|will not)\b"
    r"|(unfortunately,? )?i(['’]?m| am) (unable|not able) to\b|i (must|have to) decline\b"
    r"|as an? (ai|artificial intelligence|language model)\b)"
)


def candidates(generations: pl.LazyFrame, how: Selection) -> pl.LazyFrame:
    """The candidates of the selection, each with the `reason` and `detail` of the first fault of its text, or null."""
    if how.models is not None:
        generations = generations.filter(pl.col("model").is_in(how.models))
    if how.samples is not None:
        generations = generations.filter(pl.col("sample") < how.samples)
    text, chars = pl.col("response"), pl.col("response").str.len_chars()
    faults = [
        ("empty", text.str.strip_chars() == "", pl.lit("no text")),
        (
            "truncated",
            (pl.col("finish_reason") == "length") & (not how.truncated),
            pl.format("{} tokens", "output_tokens"),
        ),
        ("too_short", chars < how.min_chars, pl.format(f"{{}} < {how.min_chars} characters", chars)),
    ]
    if how.max_chars is not None:
        faults.append(("too_long", chars > how.max_chars, pl.format(f"{{}} > {how.max_chars} characters", chars)))
    if not how.refusals:
        faults.append(("refusal", text.str.contains(REFUSAL), text.str.slice(0, 60)))
    return generations.select(
        *("candidate_id", "instruction_id", "model", "sample"),
        reason=pl.coalesce(pl.when(fault).then(pl.lit(reason)) for reason, fault, _ in faults),
        detail=pl.coalesce(pl.when(fault).then(detail) for _, fault, detail in faults),
        text=text.hash(),  # compared within this process only
    )


def decide(table: pl.DataFrame, judges: list[str], how: Selection, random_seed: int) -> pl.DataFrame:
    """`table` (of `score_table`) with `score`, and a reason for every candidate that is not kept.

    Among equal scores the choice is random: by a hash of seed and candidate_id, independent of model and row order.
    """
    if judges:
        table = table.with_columns(aggregate(table, judges, how))
        table = _reject(
            table, pl.col("score").is_null(), "no_score", pl.lit(f"fewer than {how.min_judges} usable scores")
        )
    else:
        table = table.with_columns(score=pl.lit(None, pl.Float64))
    if how.min_score is not None:
        low = pl.format(f"{{}} < {how.min_score}", pl.col("score").round(3))
        table = _reject(table, pl.col("score") < how.min_score, "low_score", low)
    if how.keep == "all":
        first = pl.col("candidate_id").min().over("instruction_id", "text", "reason")
        table = table.with_columns(first=first)
        return _reject(table, pl.col("candidate_id") != pl.col("first"), "duplicate", pl.col("first")).drop("first")
    fit = table.filter(pl.col("reason").is_null()).select("candidate_id", "instruction_id", "score")
    top = fit.filter(pl.col("score").eq_missing(pl.col("score").max()).over("instruction_id"))
    draws = [row_id(random_seed, "tie", candidate_id) for candidate_id in top["candidate_id"]]
    won = (
        top.with_columns(draw=pl.Series(draws, dtype=pl.String))
        .sort("draw")
        .unique("instruction_id", keep="first", maintain_order=True)
        .select("instruction_id", kept="candidate_id", best="score")
    )
    table = table.join(won, on="instruction_id", how="left", maintain_order="left")
    lost = pl.format("{} against {} of {}", pl.col("score").round(3), pl.col("best").round(3), "kept")
    drawn = pl.format("drawn: {}", "kept")
    better = pl.when(pl.col("score").eq_missing(pl.col("best"))).then(drawn).otherwise(lost)
    return _reject(table, pl.col("candidate_id") != pl.col("kept"), "not_best", better).drop("kept", "best")


def _reject(table: pl.DataFrame, fault: pl.Expr, reason: str, detail: pl.Expr) -> pl.DataFrame:
    """Give the rows with a `fault` this reason, unless they have one already."""
    newly = pl.col("reason").is_null() & fault.fill_null(False)
    return table.with_columns(
        reason=pl.when(newly).then(pl.lit(reason)).otherwise("reason"),
        detail=pl.when(newly).then(detail).otherwise("detail"),
    )


def score_table(
    instructions: pl.LazyFrame, generations: pl.LazyFrame, scores: list[pl.LazyFrame], how: Selection
) -> tuple[pl.DataFrame, list[str]]:
    """The candidates of the selection (`candidates`) with a column per judge, and the judges.

    Raises UserError when the scores of a judge of the selection are missing.
    """
    competing = candidates(generations, how)
    if how.same_language:
        competing = competing.join(differ(instructions, generations), on="candidate_id", how="left").with_columns(
            reason=pl.coalesce("reason", pl.when(pl.col("languages").is_not_null()).then(pl.lit("language"))),
            detail=pl.coalesce("detail", "languages"),
        )
    table, judges = join_scores(competing, scores)
    if how.judges is not None and (missing := sorted(set(how.judges) - set(judges))) and table.height:
        raise UserError(f"no scores of {', '.join(missing)}; add the judge to score.judges, or remove it from judges")
    return table, judges


def select(
    instructions: pl.LazyFrame, generations: pl.LazyFrame, scores: list[pl.LazyFrame], how: Selection, random_seed: int
) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """The kept candidates (`tables.SELECTED`) and the others (`tables.REJECTED_CANDIDATES`), in order of their ids.

    Raises UserError when nothing is kept, with the number of candidates for each reason.
    """
    table, judges = score_table(instructions, generations, scores, how)
    if judges and how.aggregate == "calibrated":
        used = table.select("model", *counted_columns(judges, how.exclude_self))
        if not any(calibrate(used, judges).values()):
            varying = varying_judges(used, judges)
            if not varying:
                raise UserError("aggregate: calibrated needs a judge whose scores vary, and there is none; use mean")
            own = "exclude_self: false, or " if how.exclude_self else ""
            raise UserError(
                f"aggregate: calibrated with exclude_self: {str(how.exclude_self).lower()}: {', '.join(varying)} are"
                " not connected by candidates that two of them scored, so severity and quality cannot be separated;"
                f" use {own}aggregate: mean, or add a judge that scores the same candidates as the others"
            )
    decided = decide(table, judges, how, random_seed).sort("instruction_id", "candidate_id")
    kept = decided.filter(pl.col("reason").is_null())
    if kept.is_empty():
        counts = dict(decided["reason"].value_counts().sort("count", "reason", descending=[True, False]).iter_rows())
        repair = REPAIRS.get(next(iter(counts), ""), "")
        raise UserError(
            f"no candidate was kept: {', '.join(f'{n:,} {reason}' for reason, n in counts.items()) or 'there are none'}"
            f"{'; ' if repair else ''}{repair}"
        )
    kept = kept.with_columns(
        scores=pl.concat_list(pl.struct(pl.lit(j).alias("judge"), pl.col(column(j)).alias("score")) for j in judges)
        if judges
        else pl.lit([], SELECTED["scores"])
    )
    size = decided.group_by("instruction_id").agg(candidates=pl.len().cast(pl.Int64))
    chosen = (
        kept.lazy()
        .join(size.lazy(), on="instruction_id", how="left", maintain_order="left")
        .join(generations.select("candidate_id", "response"), on="candidate_id", how="left", maintain_order="left")
        .join(instructions, on="instruction_id", how="left", maintain_order="left")
        .select(list(SELECTED))
    )
    unanswered = instructions.join(decided.lazy(), on="instruction_id", how="anti").select(
        pl.lit(None, pl.String).alias("candidate_id"),
        "instruction_id",
        pl.lit(None, pl.String).alias("model"),
        pl.lit(None, pl.Float64).alias("score"),
        pl.lit("unanswered").alias("reason"),
        pl.lit("no model gave a candidate").alias("detail"),
        pl.col("instruction").alias("response"),
    )
    lost = (
        decided.filter(pl.col("reason").is_not_null())
        .lazy()
        .join(generations.select("candidate_id", "response"), on="candidate_id", how="left", maintain_order="left")
        .select(list(REJECTED_CANDIDATES))
    )
    return chosen, pl.concat([lost, unanswered.sort("instruction_id")])
