"""report: every arm against the base, as one page and metrics/summary.json."""

from pathlib import Path
from typing import Any

from holdfast.common.files import read_json, scan_table, write_json, write_text
from holdfast.common.section import optional, read, value
from holdfast.common.step import arguments, run
from holdfast.common.tables import EVALUATIONS
from holdfast.steps.report.page import render
from holdfast.steps.report.params import Report
from holdfast.steps.report.row_counts import count_table, rejected_files
from holdfast.steps.report.samples import dropped, example_instructions
from holdfast.steps.report.sections import Page
from holdfast.steps.report.summary import summarise
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
    own = {arm: optional(declared, f"arms.{arm}.train", {}) for arm in arms}
    return optional(declared, "mix.size_from", "domain"), own


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
    summary = summarise(runs, {name: suite.get("measures", "general") for name, suite in suites.items()}, report)
    rejected = rejected_files(args.rejected)
    for arm, figures in lengths(curves, args.mixtures, domain).items():
        summary["arms"][arm]["training"] = figures | {"settings": own_settings(own[arm])}
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
            args.all_scores,
            args.selected,
            rejected[str(Path(args.selected).with_suffix(""))],
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
