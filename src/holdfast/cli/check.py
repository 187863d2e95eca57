"""`holdfast check` and `holdfast summary`: the proof in the terminal, and as a gate for CI."""

import argparse
import json
from pathlib import Path
from typing import Any

from holdfast.common.errors import UserError
from holdfast.common.section import load, read
from holdfast.steps.report.params import Report
from holdfast.steps.report.verdict import checks

SUMMARY = Path("metrics/summary.json")


PAGE = Path("report/index.html")


def command(subparsers: Any) -> None:
    """Add `check` to the command line."""
    parser = subparsers.add_parser("check", help="exit with 1 when an arm does not hold its declared limits")
    parser.add_argument("arms", nargs="*", metavar="ARM", help="arms to check (default: report.gated, or all)")
    parser.set_defaults(run=check)


def built() -> dict[str, Any]:
    """metrics/summary.json. Raises UserError when it is not there or cannot be read."""
    try:
        found = json.loads(SUMMARY.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{SUMMARY}: {error.strerror}; build it with `snakemake --cores all`") from error
    except ValueError as error:
        raise UserError(f"{SUMMARY}: not JSON ({error}); build it again") from error
    assert isinstance(found, dict)
    return found


def check(arguments: argparse.Namespace) -> int:
    """Print every limit of the arms, met or not; the exit status is 1 if one is not met."""
    report = read("report", "report", Report) if "report" in load() else Report()
    summary = built()
    trained = [name for name in summary["arms"] if name != "base"]
    if (summary["confidence"], summary["reference"]) != (report.confidence, report.reference):
        raise UserError(f"{SUMMARY}: built with another report.confidence or report.reference; build it again")
    arms = arguments.arms or report.gated or trained
    for arm in arms:
        if arm not in trained:
            raise UserError(f"no arm {arm!r} in {SUMMARY}; there are {', '.join(trained)}")
    found = [one for arm in arms for one in checks(arm, summary["arms"][arm], report.limits, report.reference)]
    for one in found:
        print(f"{'ok    ' if one.met else 'FAILED'} {one.arm}: {one.text}")
    if not found:
        print("nothing to check: report.limits declares no limit")
    return int(not all(one.met for one in found))
