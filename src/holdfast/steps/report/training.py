"""How long each arm was trained, and with which settings: figures for metrics/summary.json and the page."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from markupsafe import Markup

from holdfast.common.errors import UserError, first_line
from holdfast.common.files import read_json
from holdfast.common.run_names import arm_and_seed
from holdfast.steps.report.plots import curves
from holdfast.steps.report.verdict import counted

MUCH = 1.5  # times as many passes over the domain rows: a warning

Figures = dict[str, Any]


class Curve(NamedTuple):
    """A training run: its loss curve (CSV with step, epoch, loss, eval_loss), and the last step and epoch in it."""

    run: str
    plot: Markup
    steps: int
    epochs: float


def read_curves(paths: Iterable[str], paired: Collection[str]) -> list[Curve]:
    """The loss curves of all runs; `paired`: the runs on preference pairs. Raises UserError for another file."""
    return [read_curve(path, "pair" if Path(path).stem in paired else "token") for path in paths]


def read_curve(path: str, unit: str = "token") -> Curve:
    """Raises UserError for another file than a loss curve. `unit`: of what the loss is the mean."""
    try:
        table = pl.read_csv(path, infer_schema_length=None)
        series = [
            (name, [(float(x), float(y)) for x, y in table.select("step", column).drop_nulls().iter_rows()])
            for name, column in (("training", "loss"), ("validation", "eval_loss"))
        ]
        ends = table.select("step", "epoch").drop_nulls().sort("step").tail(1).rows()
        steps, epochs = ends[0] if ends else (0, 0.0)
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise UserError(f"{path}: not a loss curve ({first_line(error)}); train again") from error
    run, drawn = Path(path).stem, [(label, line) for label, line in series if line]
    svg = curves(drawn, f"Loss of {run}", "optimiser steps", f"loss, nats per {unit}") if drawn else ""
    return Curve(run, Markup(svg), int(steps), float(epochs))


def lengths(runs: Iterable[Curve], mixtures: Iterable[str], domain: str) -> dict[str, Figures]:
    """For each arm: optimiser steps, epochs over its mixture, tokens, and passes over its rows of the source `domain`.

    `mixtures`: the files data/mix/<arm>/summary.json. The means over training seeds. Tokens are those of the rendered
    conversations, without padding; `domain_passes` is None for an arm without rows of that source.
    """
    by_arm: dict[str, list[Curve]] = {}
    for run in runs:
        by_arm.setdefault(arm_and_seed(run.run)[0], []).append(run)
    found = {}
    for path in mixtures:
        own = by_arm.get(arm := Path(path).parent.name, [])
        if own:
            epochs = sum(run.epochs for run in own) / len(own)
            mixture = read_json(path)
            found[arm] = {
                "steps": round(sum(run.steps for run in own) / len(own)),
                "epochs": epochs,
                "tokens": round(epochs * mixture["train_tokens"]),
                "domain_passes": _passes(epochs, [s for s in mixture["sources"] if s["source"] == domain]),
            }
    return found


def pair_lengths(runs: Iterable[Figures]) -> dict[str, Figures]:
    """As `lengths`, of each arm that is trained on pairs; `runs`: the files data/train/dpo/<run>.json.

    Tokens are those of both conversations of every pair. Also how many `pairs` there were, how many were `rejected`,
    and `preferred`: the share of the last training pairs in which the chosen answer has become likelier than the
    rejected one, each compared with what it was at the start.
    """
    by_arm: dict[str, list[Figures]] = {}
    for run in runs:
        by_arm.setdefault(run["arm"], []).append(run)
    found = {}
    for arm, own in by_arm.items():
        mean = {key: sum(run[key] for run in own) / len(own) for key in ("steps", "epochs", "pairs", "rejected")}
        seen = [run["accuracies"] for run in own if run["accuracies"] is not None]
        found[arm] = {
            **{key: round(mean[key]) for key in ("steps", "pairs", "rejected")},
            "epochs": mean["epochs"],
            "tokens": round(sum(run["epochs"] * run["tokens"] for run in own) / len(own)),
            "domain_passes": None,
            "preferred": sum(seen) / len(seen) if seen else None,
        }
    return found


def _passes(epochs: float, parts: list[Figures]) -> float | None:
    """How often each row of a source was seen: a mixture may hold it several times. `parts`: the source's slices."""
    rows = sum(part["train_rows"] for part in parts)
    different = rows - sum(part["repeated_rows"] for part in parts)
    return epochs * rows / different if different else None


def warning(found: Mapping[str, Figures]) -> str:
    """What to know where arms saw their domain rows a different number of times; empty where they did not."""
    passes = {arm: figures["domain_passes"] for arm, figures in found.items() if figures["domain_passes"]}
    if not passes:
        return ""
    least, most = min(passes, key=passes.__getitem__), max(passes, key=passes.__getitem__)
    if passes[most] <= MUCH * passes[least]:
        return ""
    return (
        f"{most} saw each of its domain rows {times(passes[most])}, {least} {times(passes[least])}. A difference in"
        " domain accuracy between arms is partly a difference in training length. train.budget: {domain_epochs: N}"
        " gives every arm the same number of passes."
    )


def times(number: float) -> str:
    """A number of passes in words."""
    return "once" if round(number, 1) == 1 else f"{number:,.1f} times"


def length_in_words(budget: Mapping[str, float] | None, domain: str, some_differ: bool) -> str:
    """How long the arms were trained, as a sentence.

    `budget`: `train.budget`, None where `train.config` sets it. `some_differ`: arms have a budget of their own.
    """
    arms = "Every arm without a budget of its own" if some_differ else "Every arm"
    if budget is None:
        return "How long each arm was trained is set in the Axolotl file that train.config names."
    if budget.get("steps") is not None:
        return f"{arms} was trained for the same {counted(budget['steps'], 'optimiser step')}."
    if (passes := budget.get("domain_epochs")) is not None:
        return (
            f"{arms} was trained until it had seen each of its rows of the source {domain} {times(passes)}: arms with"
            " bigger mixtures were trained for more steps, which is part of the difference between them."
        )
    epochs = f"{budget['epochs']:g} epoch{'' if budget['epochs'] == 1 else 's'}"
    return (
        f"{arms} was trained for {epochs} of its own mixture: arms with more rows were trained for more steps, which"
        " is part of the difference between them."
    )


def own_settings(settings: Mapping[str, Any], path: str = "") -> list[str]:
    """`arms.<name>.train` as "learning_rate: 0.0002"; keys of a section in it are dotted."""
    found = []
    for key, value in settings.items():
        if isinstance(value, dict):
            found += own_settings(value, f"{path}{key}.")
        else:
            found.append(
                f"{path}{key}: {'null' if value is None else str(value).lower() if value in (True, False) else value}"
            )
    return found
