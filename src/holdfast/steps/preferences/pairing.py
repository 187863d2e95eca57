"""From a selection and what it left out to pairs of answers: the kept one, and the one that the judges like least.

Scores are those of the filter step, with its judges and its aggregate, so a pair never contradicts the selection.
Taking the worst of several answers, and no pair below a margin, is how pairs are made from scored samples in
Self-Rewarding Language Models (Yuan et al., arXiv 2401.10020, section 2.3).
"""

import polars as pl

from holdfast.common.ids import row_id
from holdfast.steps.preferences.tables import PREFERENCES

SCORE_ONLY = ("not_best", "low_score")  # why an answer without a fault in its text was not kept


def choose(
    selected: pl.LazyFrame, others: pl.LazyFrame, min_margin: float, random_seed: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The two answers for each instruction, and the instructions that have no such pair.

    `selected` (SELECTED) and `others` (REJECTED_CANDIDATES) are the two tables of a selection. Returns columns
    instruction_id and, with the suffixes _chosen and _rejected, candidate_id, model and score, and the `margin`; and
    the others (PREFERENCES_REJECTED). Both in the order of their instruction_id.

    Equal scores are decided by a hash of seed and candidate_id, as in the filter step. Answers with a fault in
    their text (cut off, empty, refused, …) are not used: training would learn the fault.
    """
    text = pl.col("response").str.strip_chars().hash()  # compared within this process only
    faultless = others.filter(pl.col("reason").is_in(SCORE_ONLY))
    parts = [
        table.select("candidate_id", "instruction_id", "model", "score", text=text, kept=pl.lit(kept))
        for table, kept in ((selected, True), (faultless, False))
    ]
    scored = pl.concat(parts).filter(pl.col("score").is_not_null()).collect()
    draws = [row_id(random_seed, "tie", candidate_id) for candidate_id in scored["candidate_id"]]
    scored = scored.with_columns(draw=pl.Series(draws, dtype=pl.String))
    best = _first_of_each(scored.filter("kept").sort("score", "draw", descending=[True, False]))
    against = scored.join(best.select("instruction_id", best="text"), on="instruction_id")
    worst = _first_of_each(against.filter(pl.col("text") != pl.col("best")).sort("score", "draw"))
    both = (
        best.join(worst, on="instruction_id", how="left", suffix="_rejected")
        .rename({name: f"{name}_chosen" for name in ("candidate_id", "model", "score")})
        .select(
            "instruction_id",
            *(f"{name}_{side}" for name in ("candidate_id", "model", "score") for side in ("chosen", "rejected")),
            margin=(pl.col("score_chosen") - pl.col("score_rejected")).round(9),
        )
        .sort("instruction_id")
    )
    enough = (pl.col("margin") >= min_margin).fill_null(False)
    lost = pl.concat([_close(both.filter(~enough), min_margin), _unselected(selected, others)])
    return both.filter(enough), lost.sort("instruction_id")


def _first_of_each(answers: pl.DataFrame) -> pl.DataFrame:
    return answers.unique("instruction_id", keep="first", maintain_order=True)


def _close(both: pl.DataFrame, min_margin: float) -> pl.DataFrame:
    """Why instructions with a kept answer have no pair."""
    alone = pl.col("margin").is_null()
    close = pl.format(
        f"{{}} of {{}} against {{}} of {{}}: less than {min_margin:g} apart",
        *(pl.col(name) for name in ("score_chosen", "candidate_id_chosen", "score_rejected", "candidate_id_rejected")),
    )
    return both.select(
        "instruction_id",
        candidate_id="candidate_id_chosen",
        model="model_chosen",
        score="score_chosen",
        reason=pl.when(alone).then(pl.lit("one_answer")).otherwise(pl.lit("small_margin")),
        detail=pl.when(alone).then(pl.lit("no other text without a fault has a score")).otherwise(close),
    )


def _unselected(selected: pl.LazyFrame, others: pl.LazyFrame) -> pl.DataFrame:
    """The instructions of which no answer was kept, with the reasons of their answers."""
    reasons = (
        others.join(selected, on="instruction_id", how="anti")
        .group_by("instruction_id", "reason")
        .len()
        .sort("instruction_id", "reason")
        .group_by("instruction_id", maintain_order=True)
        .agg(detail=pl.format("{} {}", "len", "reason").str.join(", "))
    )
    none = {"candidate_id": pl.String, "model": pl.String, "score": pl.Float64}
    return reasons.select(
        "instruction_id",
        *(pl.lit(None, kind).alias(name) for name, kind in none.items()),
        reason=pl.lit("not_selected"),
        detail="detail",
    ).collect()


def written_out(
    chosen: pl.DataFrame, selected: pl.LazyFrame, others: pl.LazyFrame, licences: dict[str, str | None]
) -> pl.LazyFrame:
    """The pairs of `choose` with their messages (PREFERENCES); `licences` maps a model to its licence."""

    def answer(text: str) -> pl.Expr:
        return pl.concat_list(pl.struct(role=pl.lit("assistant"), content=pl.col(text)))

    def licence(side: str) -> pl.Expr:
        known = {model: licence for model, licence in licences.items() if licence is not None}
        return pl.col(f"model_{side}").replace_strict(known, default=None, return_dtype=pl.String)

    texts = pl.concat([table.select("candidate_id", "response") for table in (selected, others)])
    kept = selected.select("candidate_id", "messages", "rendering", "slice", "language")
    pairs = chosen.lazy()
    for added, side in ((kept, "chosen"), (texts.rename({"response": "better"}), "chosen"),
                        (texts.rename({"response": "worse"}), "rejected")):  # fmt: skip
        pairs = pairs.join(
            added, left_on=f"candidate_id_{side}", right_on="candidate_id", how="left", maintain_order="left"
        )
    return pairs.with_columns(
        prompt="messages",
        chosen=answer("better"),
        rejected=answer("worse"),
        tools=pl.col("rendering").str.json_path_match("$.tools"),
        licence_chosen=licence("chosen"),
        licence_rejected=licence("rejected"),
    ).select(list(PREFERENCES))
