"""The sections of the page, in its order: each has figures, made here, and a template with its HTML.

A new section is an entry in SECTIONS and a file `template/<name>.html.j2`, which gets what the entry's function returns
as `figures` besides the page's own names (`render` in page.py).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import polars as pl
from markupsafe import Markup

from holdfast.steps.report.arms import made_of
from holdfast.steps.report.params import Report
from holdfast.steps.report.plots import Estimate, curves, histogram, intervals, scatter
from holdfast.steps.report.row_counts import TableCount
from holdfast.steps.report.samples import Row
from holdfast.steps.report.summary import ABILITIES
from holdfast.steps.report.sweeps import sweep_figures
from holdfast.steps.report.training import Curve, warning
from holdfast.steps.report.verdict import count, counted, frontier_in_words

Figures = dict[str, Any]


class Page(NamedTuple):
    """The data of the page."""

    summary: Figures  # the content of metrics/summary.json
    runs: dict[str, pl.DataFrame]  # EVALUATIONS by run
    report: Report
    base: str  # name of the base model
    tables: list[TableCount]
    examples: list[Row]
    dropped: dict[str, list[Row]]  # examples of dropped rows by table
    metrics: Figures  # content of metrics/*.json by step
    curves: list[Curve]  # of every training run
    training: Figures  # `length`: how long the arms were trained, a sentence; `domain`: the name of the domain source

    @property
    def arms(self) -> list[str]:
        """The trained arms."""
        return [name for name in self.summary["arms"] if name != "base"]

    @property
    def confidence(self) -> str:
        """The confidence of intervals in per cent."""
        return f"{self.report.confidence * 100:g} %"


def estimate(name: str, compared: Figures) -> Estimate:
    """A comparison in points, for a plot, with the interval that verdicts go by."""
    return Estimate(name, *(100 * compared[key] for key in ("difference", "bound_low", "bound_high")))


def verdict_plots(page: Page) -> list[dict[str, str]]:
    """Plots of the changes against the base: one for each ability, and one for both."""
    against = {name: page.summary["arms"][name]["against"]["base"] for name in page.arms}
    found = []
    for ability in ABILITIES:
        rows = [
            estimate(name, compared[ability])
            for name, compared in against.items()
            if ability in compared and compared[ability]["difference"] is not None
        ]
        if rows:
            title = f"Change of {ability} accuracy against the base"
            svg = Markup(intervals(rows, title, f"change of {ability} accuracy, points"))
            caption = f"{title}, with {page.confidence} intervals. Left of the zero line: a loss."
            found.append({"svg": svg, "caption": caption})
    return found


def frontier(page: Page) -> Figures | None:
    """The frontier drawn, with what each arm cost, and the recommendation."""
    if (found := page.summary.get("frontier")) is None:
        return None
    arms = {name: page.summary["arms"][name] for name in page.arms}
    both = [
        tuple(estimate(name, figures["against"]["base"][ability]) for ability in ABILITIES)
        for name, figures in arms.items()
        if all(figures["against"]["base"].get(ability, {}).get("difference") is not None for ability in ABILITIES)
    ]
    axes = ("change of general accuracy, points", "change of domain accuracy, points")
    plot = scatter(both, "General against domain accuracy", *axes, best=found["arms"]) if both else ""  # type: ignore[arg-type]
    return found | {
        "plot": Markup(plot),
        "text": frontier_in_words(found, page.report.confidence),
        "recommendation": page.summary["recommendation"],
        "costs": {name: figures["cost"] for name, figures in arms.items()},
        "made_of": {name: words for name, figures in arms.items() if (words := made_of(figures))},
    }


def sweeps(page: Page) -> list[Figures] | None:
    """The curves of sweeps; None without any."""
    found = page.summary.get("sweeps")
    return sweep_figures(found, page.summary["arms"], page.confidence) if found else None


def compared_with(page: Page) -> list[str]:
    """The arms that others are compared with: the base, and the reference arm where there is one."""
    against = [page.summary["arms"][name]["against"] for name in page.arms]
    return [other for other in ("base", page.report.reference) if any(other in compared for compared in against)]


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


def steps_of(tables: list[TableCount]) -> list[dict[str, str]]:
    """For each step the rows of all its tables and the rows that it dropped."""
    by_step: dict[str, list[TableCount]] = {}
    for table in tables:
        by_step.setdefault(table.step, []).append(table)
    return [
        {
            "step": step,
            "rows": f"{count(rows)} {UNITS[step].removesuffix('s') if rows == 1 else UNITS[step]}"
            + (f" in {len(found)} tables" if len(found) > 1 else ""),
            "lost": count(lost) if (lost := sum(n for table in found for _, n in table.rejected)) else "",
        }
        for step, found in by_step.items()
        for rows in [sum(table.rows for table in found)]
    ]


def row_counts(page: Page) -> Figures:
    """The tables, and the rows of each step."""
    steps = steps_of(page.tables)
    trained = {"step": "train", "rows": counted(len(page.curves), "model"), "lost": ""}
    return {"steps": [*steps[:-1], trained, steps[-1]], "tables": page.tables}


def flat(values: Any, path: str = "") -> list[tuple[str, str]]:
    """Nested figures as rows (dotted name, value)."""
    if isinstance(values, dict):
        return [row for key, value in values.items() for row in flat(value, f"{path} {key}".strip())]
    return [(path, f"{values:,.4g}" if isinstance(values, float) else str(values))]


def reconstruction(page: Page) -> Figures | None:
    """metrics/clean.json with the growth curve drawn and the smaller figures as rows."""
    return None if (found := page.metrics.get("clean")) is None else reconstruction_figures(found)


def reconstruction_figures(found: Figures) -> Figures:
    """`reconstruction`, from the content of metrics/clean.json."""
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


def committee(page: Page) -> Figures | None:
    """metrics/filter.json with the scores drawn."""
    return None if (found := page.metrics.get("filter")) is None else committee_figures(found)


def committee_figures(found: Figures) -> Figures:
    """`committee`, from the content of metrics/filter.json."""
    scores = found["scores"]
    labels = sorted({*scores["candidates"], *scores["kept"]}, key=float)
    bins = [(label, scores["candidates"].get(label, 0), scores["kept"].get(label, 0)) for label in labels]
    plot = histogram(bins, ("candidates", "kept"), "Scores of candidates and of those kept", "score")
    return found | {"histogram": Markup(plot)}


def other_metrics(page: Page) -> dict[str, list[tuple[str, str]]]:
    """The other files in metrics/ as rows (dotted name, value)."""
    return {name: flat(found) for name, found in page.metrics.items() if name not in ("clean", "filter")}


def training(page: Page) -> Figures | None:
    """How long each arm was trained, its settings of its own, and the loss curve of every run."""
    if not page.curves:
        return None
    arms = page.summary["arms"]
    found = {arm: figures["training"] for arm, figures in arms.items() if "training" in figures}
    return page.training | {
        "curves": page.curves,
        "arms": [figures | {"name": arm} for arm, figures in found.items()],
        "warning": warning(found),
        "averages": {arm: figures["average"] for arm, figures in arms.items() if "average" in figures},
        "aligned": [figures | {"name": arm} for arm, figures in found.items() if "pairs" in figures],
        "some_differ": any(figures["settings"] for figures in found.values()),
    }


def examples(page: Page) -> Figures:
    """Instructions with their candidates, and rows that were dropped."""
    dropped = [{"name": name, "rows": rows} for name, rows in page.dropped.items() if rows]
    return {"examples": page.examples, "dropped": dropped}


def clustered_suites(page: Page) -> list[str]:
    """The suites in which several items belong to one cluster."""
    table = page.runs["base"]
    shared = table.filter(pl.col("cluster").is_not_null() & pl.struct("suite", "cluster").is_duplicated())
    return sorted(shared["suite"].unique())


def shared_figures(page: Page) -> Figures:
    """For a section that shows the page's own figures only."""
    return {}


class Section(NamedTuple):
    """One section; its figures are None where it has nothing to show and is left out."""

    name: str  # of its template, and the id of its heading
    link: str  # its text in the navigation; empty: it has no heading
    figures: Callable[[Page], Any]


SECTIONS = (
    Section("verdicts", "verdicts", verdict_plots),
    Section("frontier", "frontier", frontier),
    Section("sweeps", "sweeps", sweeps),
    Section("accuracy", "accuracy", compared_with),
    Section("tasks", "suites and tasks", shared_figures),
    Section("items", "items", shared_figures),
    Section("chain", "rows by step", row_counts),
    Section("reconstruct", "reconstruction", reconstruction),
    Section("committee", "committee", committee),
    Section("metrics", "", other_metrics),
    Section("training", "training", training),
    Section("examples", "examples", examples),
    Section("methods", "methods", clustered_suites),
)
