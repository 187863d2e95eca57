"""The report as one HTML file that needs no network."""

from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from holdfast.steps.report.arms import made_of
from holdfast.steps.report.comparison import AVERAGES
from holdfast.steps.report.params import Report
from holdfast.steps.report.plots import change_bars
from holdfast.steps.report.samples import changed_items
from holdfast.steps.report.sections import SECTIONS, Page
from holdfast.steps.report.summary import ABILITIES
from holdfast.steps.report.verdict import average_name, count, points

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


def by_average(figures: dict[str, Any], report: Report) -> list[dict[str, Any]]:
    """The rows of a table for one arm, or one of its comparisons: every ability by both averages, or once where it has
    one suite. `verdict`: whether verdicts go by this row."""
    return [
        {
            "ability": ability,
            "key": average,
            "average": average_name(average, suites) if suites > 1 else "",
            "found": found,
            "verdict": suites > 1 and average == report.average,
        }
        for ability in ABILITIES
        for average in AVERAGES
        if (found := figures["averages"][average].get(ability))
        and ((suites := found["suite_count"]) > 1 or average == report.average)
    ]


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
        "made_of": made_of(figures),
        "rows": by_average(figures, report),
        "changes_against": {other: by_average(found, report) for other, found in figures["against"].items()},
        "tasks": tasks,
        "changes_by_task": Markup(change_bars(bars, f"Items that {name} learned and forgot", "items")),
        "changed_items": changed_items(runs["base"], runs[name], report.items),
    }


def percent(share: float | None) -> str:
    """A share as a percentage."""
    return "unknown" if share is None else f"{share:.1%}".replace("%", " %")


def figure(value: float | None) -> str:
    """A figure with two decimals."""
    return "none" if value is None else f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


def templates() -> Environment:
    """The page's templates, with their filters."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {f.__name__: f for f in (points, count, clip, p_value, colour, percent, figure)}
    return environment


def render(page: Page) -> str:
    """The page as HTML."""
    report, base = page.report, page.summary["arms"]["base"]
    trained = [_arm(name, page.summary, page.runs, report) for name in page.arms]
    base_rows = by_average(base, report)
    sections = [(section, section.figures(page)) for section in SECTIONS]
    return (
        templates()
        .get_template("page.html.j2")
        .render(
            sections=[section._replace(figures=figures) for section, figures in sections if figures is not None],
            base=page.base,
            sure=page.confidence,
            resamples=f"{report.resamples:,}",
            average=f"the {average_name(report.average)}",
            arms=[base | {"name": "base", "made_of": "", "rows": base_rows}, *trained],
            trained=trained,
            several_suites=any(row["average"] for row in base_rows),
            several_seeds=any(arm["seeds"] > 1 for arm in trained),
        )
    )
