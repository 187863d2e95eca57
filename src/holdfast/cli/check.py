"""`holdfast check`: are the limits of `report.limits` met? For CI."""

import argparse
from pathlib import Path
from typing import Any

from holdfast.common.errors import UserError
from holdfast.common.files import read_json
from holdfast.common.section import load, read
from holdfast.steps.report.params import Report
from holdfast.steps.report.verdict import checks

SUMMARY = Path("metrics/summary.json")


PAGE = Path("report/index.html")


def command(subparsers: Any) -> None:
    """Add `check` to the command line."""
    parser = subparsers.add_parser(
        "check", help="compare the results of arms with report.limits; exit status 1 if a limit is exceeded"
    )
    parser.add_argument("arms", nargs="*", metavar="ARM", help="arms to check (default: those of report.gated, or all)")
    parser.set_defaults(run=check)


def report_settings() -> Report:
    """`report` of params.yaml, with the limits."""
    return read("report", "report", Report) if "report" in load() else Report()


def check(arguments: argparse.Namespace) -> int:
    """Print every limit of the arms, met or not. Returns the exit status: 1 if a limit is not met."""
    report = report_settings()
    summary = read_json(SUMMARY)
    trained = [name for name in summary["arms"] if name != "base"]
    for key in ("confidence", "reference", "average"):
        if summary.get(key) != getattr(report, key):
            raise UserError(
                f"{SUMMARY}: was built with report.{key} {summary.get(key)!r}, but params.yaml has "
                f"{getattr(report, key)!r}; build it again with `snakemake --cores all`"
            )
    arms = arguments.arms or report.gated or trained
    for arm in arms:
        if arm not in trained:
            raise UserError(f"{SUMMARY}: has no arm {arm!r}, only {', '.join(trained)}")
    found = [one for arm in arms for one in checks(arm, summary["arms"][arm], report)]
    for one in found:
        print(f"{'ok    ' if one.met else 'FAILED'} {one.arm}: {one.text}")
    if not found:
        print("nothing to check: no limit is set in report.limits")
    return int(not all(one.met for one in found))
