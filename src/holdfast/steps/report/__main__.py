"""report: every arm against the base, as one page and metrics/summary.json."""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from holdfast.common.arm_file import SWEPT, file_of
from holdfast.common.averages import BASE, all_shares, in_words
from holdfast.common.files import read_json, scan_table, write_json, write_text
from holdfast.common.section import optional, read, value
from holdfast.common.step import arguments, run
from holdfast.common.tables import ALL_SCORES, EVALUATIONS, GENERATIONS, REJECTED_CANDIDATES, SAMPLES, SCORES, SELECTED
from holdfast.steps.report.cost import Cost, calls_of, cost_of, merged_cost
from holdfast.steps.report.page import render
from holdfast.steps.report.params import Report
from holdfast.steps.report.row_counts import count_table, rejected_files
from holdfast.steps.report.samples import dropped, example_instructions
from holdfast.steps.report.sections import Page
from holdfast.steps.report.summary import advice, summarise
from holdfast.steps.report.training import length_in_words, lengths, own_settings, read_curve

DROPPED_SHOWN = 3  # rows of each reason


def training_budget(declared: str) -> dict[str, float] | None:
    """`train.budget`, by default 1 epoch; None when the user's own Axolotl file (`train.config`) sets it."""
    if optional(declared, "train.config") is not None:
        return None
    return optional(declared, "train.budget", {"epochs": 1.0})  # type: ignore[no-any-return]


def training_parameters(declared: str, mixtures: list[str]) -> tuple[str, dict[str, Any]]:
    """(name of the domain source, each arm's training settings of its own)."""
    arms = [Path(path).parent.name for path in mixtures]
    own = {arm: optional(declared, f"arms.{arm}.train", {}, file_of(arm)) for arm in arms}
    return optional(declared, "mix.size_from", "domain"), own


def costs(args: argparse.Namespace, arms: dict[str, Any]) -> dict[str, Cost]:
    """What each arm cost; `arms`: their entries in the summary, with `training` where they were trained."""
    mixtures = {Path(path).parent.name: read_json(path) for path in args.mixtures}
    names = sorted({part["source"] for mixture in mixtures.values() for part in mixture["sources"]})
    selections = {"rehearsal": "selected"}
    selections |= {name: optional(args.params, f"sources.{name}.selection", selections.get(name)) for name in names}
    used = {name: selection for name, selection in selections.items() if name in names and selection}
    samples = scan_table(args.samples, SAMPLES)
    generations = pl.concat([scan_table(path, GENERATIONS) for path in args.generations])
    scores = pl.concat([scan_table(path, SCORES) for path in args.scores])
    calls = {
        name: calls_of(
            samples,
            generations,
            scores,
            {key: optional(args.params, f"filter.{name}.{key}") for key in ("models", "samples", "judges")},
        )
        for name in set(used.values())
    }
    tokens = {arm: figures.get("training", {}).get("tokens") for arm, figures in arms.items()}
    found = {arm: cost_of(mixtures.get(arm), tokens[arm], used, calls) for arm in arms if arm != BASE}
    for arm, merge in merges(args.params, arms).items():
        parts = [part for part in all_shares(merge) if part != BASE]
        needed = sum(tokens[part] or 0.0 for part in parts)
        found[arm] = merged_cost([mixtures[part] for part in parts], needed, used, calls)
    return found


def merges(declared: str, arms: Iterable[str]) -> dict[str, dict[str, float]]:
    """`arms.<name>.merge` of the arms that are averages."""
    found = {arm: optional(declared, f"arms.{arm}.merge", None, file_of(arm)) for arm in arms if arm != BASE}
    return {arm: merge for arm, merge in found.items() if merge}


def sweep_points(declared: str) -> dict[str, Any]:
    """Of each declared sweep `arm`, `set` and `points`, by name."""
    names = [key.removeprefix("curves.") for key in declared.split(",") if key.startswith("curves.")]
    return {name: value(declared, f"curves.{name}", SWEPT) for name in names}


def main() -> None:
    """Write the page and metrics/summary.json."""
    args = arguments(
        __doc__,
        *("prompts", "samples", "instructions", "all_scores", "selected", "summary", "page"),
        many=("evaluations", "generations", "scores", "mixtures", "rejected", "metrics", "curves"),
    )
    report = read(args.params, "report", Report)
    suites = value(args.params, "evaluate.suites")
    runs = {Path(path).stem: scan_table(path, EVALUATIONS).collect() for path in args.evaluations}
    curves, domain, own = [read_curve(path) for path in args.curves], *training_parameters(args.params, args.mixtures)
    measures = {name: suite.get("measures", "general") for name, suite in suites.items()}
    summary = summarise(runs, measures, report)
    rejected = rejected_files(args.rejected)
    for arm, figures in lengths(curves, args.mixtures, domain).items():
        summary["arms"][arm]["training"] = figures | {"settings": own_settings(own[arm])}
    for arm, merge in merges(args.params, summary["arms"]).items():
        summary["arms"][arm]["average"] = in_words(merge)
    if points := sweep_points(args.params):
        summary["sweeps"] = points
    summary |= advice(summary, runs, measures, costs(args, summary["arms"]), report)
    differ = any("budget" in settings or "config" in settings for settings in own.values())
    length = length_in_words(training_budget(args.params), domain, differ)
    tables = [*(args.prompts, args.samples, args.instructions), *args.generations, *args.scores, args.selected]
    tables += [*args.mixtures, *args.evaluations]
    page = Page(
        summary,
        runs,
        report,
        base=value(args.params, "base"),
        tables=[count_table(path, rejected) for path in tables],
        examples=example_instructions(
            args.prompts,
            args.instructions,
            args.generations,
            scan_table(args.all_scores, ALL_SCORES),
            scan_table(args.selected, SELECTED),
            scan_table(rejected[str(Path(args.selected).with_suffix(""))], REJECTED_CANDIDATES),
            report.examples,
        ),
        dropped={owner.removeprefix("data/"): dropped(path, DROPPED_SHOWN) for owner, path in rejected.items()},
        metrics={Path(path).stem: read_json(path) for path in args.metrics},
        curves=curves,
        training={"length": length, "domain": domain},
    )
    write_text(render(page), args.page)
    write_json(summary, args.summary)


if __name__ == "__main__":
    run(main)
