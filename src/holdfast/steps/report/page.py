"""The report as one HTML file that needs no network."""

from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from holdfast.steps.report.comparison import AVERAGES
from holdfast.steps.report.params import Report
from holdfast.steps.report.plots import Estimate, change_bars, intervals, scatter
from holdfast.steps.report.row_counts import TableCount
from holdfast.steps.report.samples import Row, changed_items
from holdfast.steps.report.sections import committee, flat, losses, reconstruction
from holdfast.steps.report.summary import ABILITIES
from holdfast.steps.report.verdict import count, counted, points

TEMPLATES = Path(__file__).with_name("template")


CLIP = 800  # characters of a text that are shown; keeps the page small whatever the data


def clip(text: str | None, size: int = CLIP) -> str:
    """The start of a text, and how much is left out."""
    text = text or ""
    return text if len(text) <= size else f"{text[:size]} … ({len(text) - size:,} more characters)"


def p_value(p: float | None) -> str:
    """A p-value as people print it."""
    return "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def colour(word: str) -> str:
    """The CSS class of a verdict."""
    return {"kept": "good", "learned": "good", "lost": "bad", "not learned": "bad"}.get(word, "even")


def estimate(name: str, compared: dict[str, Any]) -> Estimate:
    """A comparison in points, for a plot, with the interval that verdicts go by."""
    return Estimate(name, *(100 * compared[key] for key in ("difference", "bound_low", "bound_high")))


def by_average(figures: dict[str, Any], report: Report) -> list[dict[str, Any]]:
    """The rows of a table for one arm, or one of its comparisons: every ability by both averages, or once where it has
    one suite. `verdict`: whether verdicts go by this row."""
    return [
        {
            "ability": ability,
            "key": average,
            "average": {"suites": f"mean over {suites} suites", "items": "mean over items"}[average]
            if suites > 1
            else "",
            "found": found,
            "verdict": suites > 1 and average == report.average,
        }
        for ability in ABILITIES
        for average in AVERAGES
        if (found := figures["averages"][average].get(ability))
        and ((suites := found["suite_count"]) > 1 or average == report.average)
    ]


def _plots(trained: list[dict[str, Any]], sure: str) -> list[dict[str, str]]:
    found = []
    for ability in ABILITIES:
        rows = [
            estimate(arm["name"], compared)
            for arm in trained
            if (compared := arm["against"]["base"].get(ability)) and compared["difference"] is not None
        ]
        if rows:
            title = f"Change of {ability} accuracy against the base"
            svg = Markup(intervals(rows, title, f"change of {ability} accuracy, points"))
            found.append({"svg": svg, "caption": f"{title}, with {sure} intervals. Left of the zero line: a loss."})
    both = [
        (estimate(arm["name"], against["general"]), estimate(arm["name"], against["domain"]))
        for arm in trained
        if all((against := arm["against"]["base"]).get(a) and against[a]["difference"] is not None for a in ABILITIES)
    ]
    if both:
        svg = Markup(
            scatter(
                both,
                "General against domain accuracy",
                "change of general accuracy, points",
                "change of domain accuracy, points",
            )
        )
        found.append(
            {
                "svg": svg,
                "caption": f"Changes of both accuracies, with {sure} intervals. Best: top right. The base is at 0, 0.",
            }
        )
    return found


def _arm(name: str, summary: dict[str, Any], runs: dict[str, pl.DataFrame], report: Report) -> dict[str, Any]:
    """What the page shows of one trained arm."""
    figures, base = summary["arms"][name], summary["arms"]["base"]
    compared = figures["against"]["base"]["suites"]
    tasks = []
    for suite, part in compared.items():
        for task, one in [(None, part), *(part["tasks"].items() if len(part["tasks"]) > 1 else [])]:
            before, after = (
                found["suites"][suite] if task is None else found["suites"][suite]["tasks"][task]
                for found in (base, figures)
            )
            tasks.append({"suite": suite, "task": task, "compared": one, "base": before, "arm": after})
    bars = [
        (task, one["forgotten"], one["learned"]) for part in compared.values() for task, one in part["tasks"].items()
    ]
    return figures | {
        "name": name,
        "rows": by_average(figures, report),
        "changes_against": {other: by_average(found, report) for other, found in figures["against"].items()},
        "tasks": tasks,
        "changes_by_task": Markup(change_bars(bars, f"Items that {name} learned and forgot", "items")),
        "changed_items": changed_items(runs["base"], runs[name], report.items),
    }


def clustered(table: pl.DataFrame) -> list[str]:
    """The suites of an evaluation in which several items are of one cluster."""
    shared = table.filter(pl.col("cluster").is_not_null() & pl.struct("suite", "cluster").is_duplicated())
    return sorted(shared["suite"].unique())


UNITS = {
    "seed": "prompts",
    "reconstruct": "samples",
    "clean": "instructions",
    "generate": "answers",
    "score": "scores",
    "filter": "kept",
    "mix": "training rows",
    "evaluate": "answers",
}


def _chain(tables: list[TableCount], runs: int) -> list[dict[str, str]]:
    """One box a step: rows (over all its tables) and dropped rows; `runs` models are trained before evaluate."""
    links: dict[str, list[TableCount]] = {}
    for table in tables:
        links.setdefault(table.step, []).append(table)
    boxes = [
        {
            "step": step,
            "rows": f"{count(sum(s.rows for s in jobs))} {UNITS[step]}"
            + (f" in {len(jobs)} tables" if len(jobs) > 1 else ""),
            "lost": count(lost) if (lost := sum(n for s in jobs for _, n in s.rejected)) else "",
        }
        for step, jobs in links.items()
    ]
    trained = {"step": "train", "rows": counted(runs, "model"), "lost": ""}
    return [*boxes[:-1], trained, boxes[-1]]


def percent(share: float | None) -> str:
    """A share as a percentage."""
    return "unknown" if share is None else f"{share:.1%}".replace("%", " %")


def figure(value: float | None) -> str:
    """A figure with two decimals."""
    return "none" if value is None else f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


def render(
    summary: dict[str, Any],
    runs: dict[str, pl.DataFrame],
    report: Report,
    base: str,
    tables: list[TableCount],
    examples: list[Row],
    dropped: dict[str, list[Row]],
    metrics: dict[str, Any],
    curves: list[str],
    training_length: str,
) -> str:
    """The page. `runs`: EVALUATIONS by run; `dropped`: examples of dropped rows by table; `metrics`: by step;
    `curves`: paths of loss curves; `training_length`: how long the arms were trained, a sentence."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {f.__name__: f for f in (points, count, clip, p_value, colour, percent, figure)}
    names = [name for name in summary["arms"] if name != "base"]
    trained = [_arm(name, summary, runs, report) for name in names]
    first = summary["arms"]["base"]
    sure = f"{report.confidence * 100:g} %"
    return environment.get_template("page.html.j2").render(
        base=base,
        sure=sure,
        resamples=f"{report.resamples:,}",
        arms=[first | {"name": "base", "rows": by_average(first, report)}, *trained],
        average={"suites": "the mean over suites", "items": "the mean over items"}[report.average],
        several_suites=any(row["average"] for row in by_average(first, report)),
        clustered=clustered(runs["base"]),
        trained=trained,
        others=[o for o in ("base", report.reference) if any(o in arm["against"] for arm in trained)],
        several_seeds=any(arm["seeds"] > 1 for arm in trained),
        plots=_plots(trained, sure),
        chain=_chain(tables, len(runs) - 1),
        tables=tables,
        examples=examples,
        dropped=[{"name": name, "rows": rows} for name, rows in dropped.items() if rows],
        reconstruct=reconstruction(metrics["clean"]) if "clean" in metrics else None,
        committee=committee(metrics["filter"]) if "filter" in metrics else None,
        further={name: flat(found) for name, found in metrics.items() if name not in ("clean", "filter")},
        curves=[losses(path) for path in curves],
        training_length=training_length,
    )
