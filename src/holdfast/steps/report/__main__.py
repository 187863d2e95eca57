"""report: every arm against the base, as one page and metrics/summary.json."""

from pathlib import Path

from holdfast.common.files import replacing, scan_table, write_json
from holdfast.common.section import read, value
from holdfast.common.step import arguments, run
from holdfast.common.tables import EVALUATIONS
from holdfast.steps.report.funnel import read_json, rejections, stage
from holdfast.steps.report.page import render
from holdfast.steps.report.params import Report
from holdfast.steps.report.samples import dropped, lineages
from holdfast.steps.report.sections import footing
from holdfast.steps.report.summary import summarise

DROPPED_SHOWN = 3  # rows of each reason


def training_budget(declared: str) -> dict[str, float] | None:
    """How long the arms were trained, as `train.budget`; None when an Axolotl file of the user's says so."""
    if "train.budget" in declared.split(","):
        return value(declared, "train.budget")  # type: ignore[no-any-return]
    return None if "train.config" in declared.split(",") else {"epochs": 1.0}


def main() -> None:
    """Put everything together."""
    args = arguments(
        __doc__,
        *("prompts", "samples", "instructions", "cube", "selected", "summary", "page"),
        many=("evaluations", "generations", "scores", "mixtures", "rejected", "metrics", "curves"),
    )
    report = read(args.params, "report", Report)
    suites = value(args.params, "evaluate.suites")
    runs = {Path(path).stem: scan_table(path, EVALUATIONS).collect() for path in args.evaluations}
    summary = summarise(runs, {name: suite.get("measures", "general") for name, suite in suites.items()}, report)
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
