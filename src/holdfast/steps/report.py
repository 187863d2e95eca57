"""Report: so what? Every arm against the base: one page that needs no network, and metrics/summary.json."""

from pathlib import Path
from typing import Any

import polars as pl

from holdfast.files import replacing, scan_table, write_json
from holdfast.params.evaluate import Evaluate
from holdfast.params.report import Report
from holdfast.params.section import read, value
from holdfast.params.train import Budget
from holdfast.report.funnel import read_json, rejections, stage
from holdfast.report.page import render
from holdfast.report.proof import prove
from holdfast.report.rooms import footing
from holdfast.report.samples import dropped, lineages
from holdfast.report.verdict import checks, verdict
from holdfast.step import arguments, run
from holdfast.tables import EVALUATIONS

DROPPED_SHOWN = 3  # rows of each reason


def training_budget(declared: str) -> Budget | None:
    """How long the arms were trained; None when a whole Axolotl file of the user's says so."""
    if "train.budget" in declared.split(","):
        return read(declared, "train.budget", Budget)
    return None if "train.config" in declared.split(",") else Budget(epochs=1.0)


def summarise(runs: dict[str, pl.DataFrame], measures: dict[str, str], report: Report) -> dict[str, Any]:
    """The proof with every arm's verdict and its checks against the declared limits."""
    summary = prove(runs, measures, report)
    for name, figures in summary["arms"].items():
        if name != "base":
            figures["verdict"] = verdict(figures, report.limits, report.confidence)
            figures["checks"] = [c._asdict() for c in checks(name, figures, report.limits, report.reference)]
    return summary


def main() -> None:
    """Put everything together."""
    args = arguments(
        __doc__,
        *("prompts", "samples", "instructions", "cube", "selected", "summary", "page"),
        many=("evaluations", "generations", "scores", "mixtures", "rejected", "metrics", "curves"),
    )
    report = read(args.params, "report", Report)
    suites = read(args.params, "evaluate", Evaluate).suites
    runs = {Path(path).stem: scan_table(path, EVALUATIONS).collect() for path in args.evaluations}
    summary = summarise(runs, {name: suite.measures for name, suite in suites.items()}, report)
    owned = rejections(args.rejected)
    tables = [*(args.prompts, args.samples, args.instructions), *args.generations, *args.scores, args.selected]
    tables += [*args.mixtures, *args.evaluations]
    page = render(
        summary,
        runs,
        report,
        base=value(args.params, "base"),
        stages=[stage(path, owned) for path in tables],
        examples=lineages(
            args.prompts,
            args.instructions,
            args.generations,
            args.cube,
            args.selected,
            owned[str(Path(args.selected).with_suffix(""))],
            report.examples,
        ),
        dropped={owner.removeprefix("data/"): dropped(path, DROPPED_SHOWN) for owner, path in owned.items()},
        metrics={Path(path).stem: read_json(path) for path in args.metrics},
        curves=args.curves,
        footing=footing(training_budget(args.params)),
    )
    with replacing(args.page) as aside:
        aside.write_text(page, encoding="utf-8")
    write_json(summary, args.summary)


if __name__ == "__main__":
    run(main)
