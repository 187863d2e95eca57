"""report: every arm against the base, as one page and metrics/summary.json."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from holdfast.common.arm_file import SWEPT, file_of
from holdfast.common.averages import in_words
from holdfast.common.files import read_json, scan_table, write_json, write_text
from holdfast.common.section import optional, read, value
from holdfast.common.step import arguments, run
from holdfast.common.tables import ALL_SCORES, EVALUATIONS, REJECTED_CANDIDATES, SELECTED
from holdfast.steps.report.arms import aligned, costs, merges, preference_words
from holdfast.steps.report.page import render
from holdfast.steps.report.params import Report
from holdfast.steps.report.row_counts import count_table, rejected_files
from holdfast.steps.report.samples import dropped, example_instructions
from holdfast.steps.report.sections import Page
from holdfast.steps.report.summary import advice, summarise
from holdfast.steps.report.training import length_in_words, lengths, own_settings, pair_lengths, read_curves

DROPPED_SHOWN = 3  # rows of each reason


def training_budget(declared: str) -> dict[str, float] | None:
    """`train.budget`, by default 1 epoch; None when the user's own Axolotl file (`train.config`) sets it."""
    if optional(declared, "train.config") is not None:
        return None
    return optional(declared, "train.budget", {"epochs": 1.0})  # type: ignore[no-any-return]


def training_parameters(declared: str, arms: Iterable[str]) -> tuple[str, dict[str, Any]]:
    """(name of the domain source, each arm's training settings of its own)."""
    own = {arm: optional(declared, f"arms.{arm}.train", {}, file_of(arm)) for arm in arms}
    return optional(declared, "mix.size_from", "domain"), own


def sweep_points(declared: str) -> dict[str, Any]:
    """Of each declared sweep `arm`, `set` and `points`, by name."""
    names = [key.removeprefix("curves.") for key in declared.split(",") if key.startswith("curves.")]
    return {name: value(declared, f"curves.{name}", SWEPT) for name in names}


def main() -> None:
    """Write the page and metrics/summary.json."""
    args = arguments(
        __doc__,
        *("prompts", "samples", "instructions", "all_scores", "selected", "summary", "page"),
        many=("evaluations", "generations", "scores", "mixtures", "rejected", "metrics", "curves", "aligned"),
    )
    report = read(args.params, "report", Report)
    suites = value(args.params, "evaluate.suites")
    runs = {Path(path).stem: scan_table(path, EVALUATIONS).collect() for path in args.evaluations}
    pairs = [read_json(path) for path in args.aligned]
    curves = read_curves(args.curves, {Path(path).stem for path in args.aligned})
    trained = [*(Path(path).parent.name for path in args.mixtures), *(run["arm"] for run in pairs)]
    domain, own = training_parameters(args.params, trained)
    measures = {name: suite.get("measures", "general") for name, suite in suites.items()}
    summary = summarise(runs, measures, report)
    rejected = rejected_files(args.rejected)
    for arm, figures in (lengths(curves, args.mixtures, domain) | pair_lengths(pairs)).items():
        summary["arms"][arm]["training"] = figures | {"settings": own_settings(own[arm])}
    for arm, merge in merges(args.params, summary["arms"]).items():
        summary["arms"][arm]["average"] = in_words(merge)
    for arm, chosen in aligned(args.params, summary["arms"]).items():
        summary["arms"][arm]["preferences"] = preference_words(chosen)
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
