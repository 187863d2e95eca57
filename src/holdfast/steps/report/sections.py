"""Sections of the page about the steps before the evaluation: reconstruction, committee, training."""

from pathlib import Path
from typing import Any

import polars as pl
from markupsafe import Markup

from holdfast.common.errors import UserError, first_line
from holdfast.steps.report.plots import curves, histogram
from holdfast.steps.report.verdict import counted

Figures = dict[str, Any]


def flat(values: Any, path: str = "") -> list[tuple[str, str]]:
    """Nested figures as rows (dotted name, value)."""
    if isinstance(values, dict):
        return [row for key, value in values.items() for row in flat(value, f"{path} {key}".strip())]
    return [(path, f"{values:,.4g}" if isinstance(values, float) else str(values))]


def reconstruction(found: Figures) -> Figures:
    """metrics/clean.json with the growth curve drawn and the smaller figures as rows."""
    richness = found["richness"]
    growth = [(point["draws"], point["distinct"]) for point in richness["growth"]]
    drawn = [point for point in growth if point[0] <= richness["draws"]]
    beyond = [point for point in growth if point[0] >= richness["draws"]]
    series = [(name, line) for name, line in (("drawn", drawn), ("extrapolated", beyond)) if line]
    plot = curves(series, "Distinct instructions by samples", "samples", "distinct instructions") if series else ""
    others = (
        "tokens",
        "characters",
        "perplexity",
        "turns",
        "languages",
        "nearest_neighbour_similarity",
        "contamination",
    )
    rows = [row for name in others if name in found for row in flat(found[name], name.replace("_", " "))]
    return found | {"growth": Markup(plot), "others": rows}


def committee(found: Figures) -> Figures:
    """metrics/filter.json with the scores drawn."""
    scores = found["scores"]
    labels = sorted({*scores["candidates"], *scores["kept"]}, key=float)
    bins = [(label, scores["candidates"].get(label, 0), scores["kept"].get(label, 0)) for label in labels]
    plot = histogram(bins, ("candidates", "kept"), "Scores of candidates and of those kept", "score")
    return found | {"histogram": Markup(plot)}


def losses(path: str) -> tuple[str, Markup]:
    """A training run's name and its loss curve (CSV with step, loss, eval_loss). Raises UserError for another file."""
    try:
        table = pl.read_csv(path, infer_schema_length=None)
        series = [
            (name, [(float(x), float(y)) for x, y in table.select("step", column).drop_nulls().iter_rows()])
            for name, column in (("training", "loss"), ("validation", "eval_loss"))
        ]
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise UserError(f"{path}: not a loss curve ({first_line(error)}); train again") from error
    name, drawn = Path(path).stem, [(label, line) for label, line in series if line]
    if not drawn:
        return name, Markup("")
    return name, Markup(curves(drawn, f"Loss of {name}", "optimiser steps", "loss, nats per token"))


def training_length(budget: dict[str, float] | None) -> str:
    """How long the arms were trained, as a sentence; `budget`: `train.budget`, None where `train.config` sets it."""
    if budget is None:
        return "How long each arm was trained is set in the Axolotl file that train.config names."
    if budget.get("steps") is not None:
        return f"Every arm was trained for the same {counted(budget['steps'], 'optimiser step')}."
    epochs = f"{budget['epochs']:g} epoch{'' if budget['epochs'] == 1 else 's'}"
    return (
        f"Every arm was trained for {epochs} of its own mixture: arms with more rows were trained for more steps, which"
        " is part of the difference between them."
    )
