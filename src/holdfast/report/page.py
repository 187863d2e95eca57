"""The report as one HTML file that needs no network."""

from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from holdfast.params.report import Report
from holdfast.report.funnel import Stage
from holdfast.report.plots import Estimate, changes, frontier, intervals
from holdfast.report.proof import ABILITIES
from holdfast.report.samples import Row, changed
from holdfast.report.verdict import checks, count, points, verdict

TEMPLATE = Path(__file__).with_name("page.html.j2")
CLIP = 800  # characters of a text that are shown; keeps the page small whatever the data


def clip(text: str | None, size: int = CLIP) -> str:
    """The start of a text, and how much is left out."""
    text = text or ""
    return text if len(text) <= size else f"{text[:size]} … ({len(text) - size:,} more characters)"


def p_value(p: float | None) -> str:
    """A p-value as people print it."""
    return "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def side(word: str) -> str:
    """The colour of a verdict's word."""
    return {"kept": "good", "learned": "good", "lost": "bad", "not learned": "bad"}.get(word, "even")


def estimate(name: str, compared: dict[str, Any]) -> Estimate:
    """A comparison in points, for a plot."""
    return Estimate(name, *(100 * compared[key] for key in ("difference", "low", "high")))


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
            found.append({"svg": svg, "caption": f"{title}, with {sure} intervals. Left of the line: lost."})
    both = [
        (estimate(arm["name"], against["general"]), estimate(arm["name"], against["domain"]))
        for arm in trained
        if all((against := arm["against"]["base"]).get(a) and against[a]["difference"] is not None for a in ABILITIES)
    ]
    if both:
        svg = Markup(
            frontier(
                both,
                "Gained against forgotten",
                "change of general accuracy, points",
                "change of domain accuracy, points",
            )
        )
        found.append(
            {
                "svg": svg,
                "caption": f"Gained against forgotten, with {sure} intervals. Best: top right. The base is 0, 0.",
            }
        )
    return found


def _arm(name: str, summary: dict[str, Any], runs: dict[str, pl.DataFrame], report: Report) -> dict[str, Any]:
    """What the page shows of one trained arm."""
    figures, base = summary["arms"][name], summary["arms"]["base"]
    tasks = [
        {
            "suite": suite,
            "task": task,
            "compared": compared,
            "base": base["suites"][suite]["tasks"][task],
            "arm": figures["suites"][suite]["tasks"][task],
        }
        for suite, part in figures["against"]["base"]["suites"].items()
        for task, compared in part["tasks"].items()
    ]
    bars = [(row["task"], row["compared"]["forgotten"], row["compared"]["learned"]) for row in tasks]
    return figures | {
        "name": name,
        "verdict": verdict(figures, report.limits, report.confidence),
        "checks": checks(name, figures, report.limits, report.reference),
        "tasks": tasks,
        "changes": Markup(changes(bars, f"Items that {name} learned and forgot", "items")),
        "flipped": changed(runs["base"], runs[name], report.items),
    }


def _chain(stages: list[Stage]) -> list[dict[str, Any]]:
    """One box a step: rows passed on (over all its jobs) and dropped."""
    links: dict[str, list[Stage]] = {}
    for stage in stages:
        links.setdefault(stage.step, []).append(stage)
    return [
        {
            "step": step,
            "rows": f"{count(sum(s.rows for s in jobs))} rows" + (f" in {len(jobs)}" if len(jobs) > 1 else ""),
            "lost": count(lost) if (lost := sum(n for s in jobs for _, n in s.rejected)) else "",
        }
        for step, jobs in links.items()
    ]


def flat(values: Any, path: str = "") -> list[tuple[str, str]]:
    """Nested figures as rows (dotted name, value)."""
    if isinstance(values, dict):
        return [row for key, value in values.items() for row in flat(value, f"{path}.{key}".lstrip("."))]
    if isinstance(values, list) and any(isinstance(value, dict | list) for value in values):
        return [row for i, value in enumerate(values) for row in flat(value, f"{path}.{i}")]
    if isinstance(values, list):
        return [(path, ", ".join(text for _, text in (flat(value)[0] for value in values)))]
    return [(path, f"{values:.4g}" if isinstance(values, float) else str(values))]


def render(
    summary: dict[str, Any],
    runs: dict[str, pl.DataFrame],
    report: Report,
    base: str,
    stages: list[Stage],
    examples: list[Row],
    dropped: dict[str, list[Row]],
    metrics: dict[str, Any],
) -> str:
    """The page. `runs`: EVALUATIONS by run; `dropped`: examples of dropped rows by table; `metrics`: by step."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"points": points, "count": count, "clip": clip, "p_value": p_value, "side": side}
    names = [name for name in summary["arms"] if name != "base"]
    trained = [_arm(name, summary, runs, report) for name in names]
    first = summary["arms"]["base"]
    sure = f"{report.confidence * 100:g} %"
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        base=base,
        sure=sure,
        resamples=f"{report.resamples:,}",
        abilities=[ability for ability in ABILITIES if ability in first],
        arms=[first | {"name": "base"}, *trained],
        trained=trained,
        others=[o for o in ("base", report.reference) if any(o in arm["against"] for arm in trained)],
        several_seeds=any(arm["seeds"] > 1 for arm in trained),
        plots=_plots(trained, sure),
        chain=_chain(stages),
        stages=stages,
        examples=examples,
        dropped=[{"name": name, "rows": rows} for name, rows in dropped.items() if rows],
        metrics=[{"name": name, "rows": flat(values)} for name, values in metrics.items()],
    )
