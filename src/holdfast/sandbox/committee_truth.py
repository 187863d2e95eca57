"""Was the committee worth it? In the sandbox the right answer is known: how often is the kept answer right?

Reads what the filter room reads and writes metrics/sandbox_committee.json: the accuracy of the kept answer for every
rung of the ablation ladder, every aggregation and every judge alone, paired differences, and what each judge can tell
apart. Only instructions of the true world count; each counts once, and one without a kept answer counts as wrong.
"""

from typing import Any

import numpy as np
import polars as pl

from holdfast.common.files import scan_table, write_json
from holdfast.common.section import value
from holdfast.common.step import arguments, run
from holdfast.common.tables import GENERATIONS, INSTRUCTIONS, SCORES
from holdfast.sandbox.world import judge_truth
from holdfast.steps.filter.aggregation import AGGREGATES
from holdfast.steps.filter.params import Selection
from holdfast.steps.filter.selection import decide, score_table
from holdfast.steps.report.statistics import paired_score, wilson


def graded(instructions: pl.LazyFrame, generations: pl.LazyFrame) -> pl.DataFrame:
    """Columns candidate_id, instruction_id, model, sample, right: the candidates for instructions of the true world."""
    asked = instructions.select("instruction_id", "instruction").collect()
    truths = [judge_truth(text) for text in asked["instruction"]]
    answers = pl.Series([None if truth is None else truth[1] for truth in truths], dtype=pl.String)
    known = asked.select("instruction_id", expected=answers).drop_nulls()
    return (
        generations.join(known.lazy(), on="instruction_id")
        .select(
            *("candidate_id", "instruction_id", "model", "sample"),
            right=pl.col("response").str.strip_chars() == pl.col("expected").str.strip_chars(),
        )
        .sort("candidate_id")
        .collect()
    )


def rungs(base: str, models: list[str], judges: list[str]) -> dict[str, Selection]:
    """What is compared: the ladder, every single model, every aggregation, every judge alone on all candidates."""
    found = {
        "1x1": Selection(models=[base], samples=1, judges=[]),
        "1xL own": Selection(models=[base], judges=[base]),
        "KxL random": Selection(judges=[]),
    }
    for aggregate in AGGREGATES:
        found[f"KxL {aggregate}"] = Selection.model_validate({"aggregate": aggregate})
        found[f"KxL {aggregate} exclude_self"] = Selection.model_validate(
            {"aggregate": aggregate, "exclude_self": True}
        )
    found |= {f"{model} 1x1": Selection(models=[model], samples=1, judges=[]) for model in models}
    found |= {f"{model} 1xL own": Selection(models=[model], judges=[model]) for model in models if model in judges}
    found |= {f"{model} 1xL committee": Selection(models=[model]) for model in models}
    return found | {f"KxL judged by {judge}": Selection(judges=[judge]) for judge in judges}


def outcomes(
    instructions: pl.LazyFrame, generations: pl.LazyFrame, scores: dict[str, pl.LazyFrame], base: str, random_seed: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Per instruction (rows, by id) and rung (columns): 1.0 when the kept answer is right, else 0.0; and `graded`.

    "KxL random" holds the expectation of the random choice, "oracle" whether any candidate is right.
    """
    truth = graded(instructions, generations)
    known = generations.join(truth.lazy().select("candidate_id"), on="candidate_id", how="semi")
    per = truth.group_by("instruction_id").agg(
        pl.col("right").mean().alias("KxL random"), pl.col("right").any().cast(pl.Float64).alias("oracle")
    )
    models = sorted(truth["model"].unique())
    for name, rung in rungs(base, models, sorted(scores)).items():
        if (
            name == "KxL random"
            or not set(rung.judges or ()) <= set(scores)
            or not set(rung.models or ()) <= set(models)
        ):
            continue
        how = rung.model_copy(update={"truncated": True})
        used = [table for judge, table in sorted(scores.items()) if how.judges is None or judge in how.judges]
        table, judges = score_table(instructions, known, used, how)
        kept = decide(table, judges, how, random_seed).filter(pl.col("reason").is_null()).select("candidate_id")
        if kept.is_empty() and how.aggregate == "calibrated":
            continue  # its judges cannot be compared, and select would refuse it
        won = kept.join(truth, on="candidate_id").select("instruction_id", pl.col("right").cast(pl.Float64).alias(name))
        per = per.join(won, on="instruction_id", how="left")
    return per.sort("instruction_id").with_columns(pl.exclude("instruction_id").fill_null(0.0)), truth


def interval(values: np.ndarray, difference: bool = False) -> dict[str, float]:
    """Mean with a 95 % interval over instructions, of right or wrong (1 or 0) or of the `difference` of two (-1 to 1).

    Wilson's and Tango's (`statistics`), which stay honest where nearly all instructions are alike; the normal
    approximation where expectations (shares of right candidates) are among the values.
    """
    n, mean = len(values), float(values.mean())
    if n and np.isin(values, (-1.0, 0.0, 1.0)).all():
        gained, lost = float((values > 0).sum()), float((values < 0).sum())
        low, high = paired_score(lost, gained, n, 0.95) if difference else wilson(gained, n, 0.95)
    else:
        half = 1.959964 * float(values.std(ddof=1) / np.sqrt(n)) if n > 1 else 0.0
        low, high = mean - half, mean + half
    return {"mean": round(mean, 6), "low": round(low, 6), "high": round(high, 6)}


def pairwise_accuracy(truth: pl.DataFrame, scores: pl.LazyFrame) -> float | None:
    """Of the pairs of a right and a wrong answer to one instruction: the share where the judge scores the right one
    higher, ties counting half; null when there is no such pair."""
    cells = scores.select("candidate_id", "score").collect().drop_nulls()
    judged = truth.select("candidate_id", "instruction_id", "right").join(cells, on="candidate_id")
    columns = ("instruction_id", "score")
    pairs = (
        judged.filter("right")
        .select(columns)
        .join(judged.filter(~pl.col("right")).select(columns), on="instruction_id", suffix="_wrong")
    )
    better = pairs.select(((pl.col("score") - pl.col("score_wrong")).sign() + 1) / 2).to_series()
    return None if pairs.is_empty() else round(float(better.to_numpy().mean()), 6)


def report(
    instructions: pl.LazyFrame, generations: pl.LazyFrame, scores: dict[str, pl.LazyFrame], base: str, random_seed: int
) -> dict[str, Any]:
    """metrics/sandbox_committee.json."""
    per, truth = outcomes(instructions, generations, scores, base, random_seed)
    columns = {name: per[name].to_numpy() for name in per.columns if name != "instruction_id"}
    committee, best = (
        columns["KxL mean"],
        max((n for n in columns if n.endswith(" 1x1")), key=lambda n: columns[n].mean()),
    )
    references = {
        "1x1": "1x1",
        "1xL own": "1xL own",
        "KxL random": "KxL random",
        "best single model": best,
        "oracle": "oracle",
    }
    return {
        "instructions": len(per),
        "outside_the_world": instructions.select(pl.len()).collect().item() - len(per),
        "candidates_right": {
            model: round(share, 6)
            for model, share in truth.group_by("model").agg(pl.col("right").mean()).sort("model").iter_rows()
        },
        "accuracy": {name: interval(values) for name, values in columns.items()},
        "best_single_model": best.removesuffix(" 1x1"),
        "committee_minus": {
            n: interval(committee - columns[c], difference=True) for n, c in references.items() if c in columns
        },
        "judges_tell_right_from_wrong": {
            judge: pairwise_accuracy(truth, table) for judge, table in sorted(scores.items())
        },
    }


def main() -> None:
    args = arguments(__doc__, "instructions", "metrics", many=("generations", "scores"))
    tables = [scan_table(path, SCORES) for path in args.scores]
    found = report(
        scan_table(args.instructions, INSTRUCTIONS),
        pl.concat([scan_table(path, GENERATIONS) for path in sorted(args.generations)]),
        {table.select(pl.col("judge").first()).collect().item(): table for table in tables},
        value(args.params, "base"),
        value(args.params, "random_seed"),
    )
    write_json(found, args.metrics)


if __name__ == "__main__":
    run(main)
