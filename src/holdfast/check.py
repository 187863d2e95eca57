"""`holdfast check` and `holdfast summary`: the proof in the terminal, and as a gate for CI."""

import argparse
import json
from pathlib import Path
from typing import Any

from holdfast.errors import UserError
from holdfast.params.report import Report
from holdfast.params.section import load, read
from holdfast.report.verdict import checks, points

SUMMARY = Path("metrics/summary.json")
PAGE = Path("report/index.html")


def command(subparsers: Any) -> None:
    """Add `check` to the command line."""
    parser = subparsers.add_parser("check", help="exit with 1 when an arm does not hold its declared limits")
    parser.add_argument("arms", nargs="*", metavar="ARM", help="arms to check (default: report.gated, or all)")
    parser.set_defaults(run=check)


def summary_command(subparsers: Any) -> None:
    """Add `summary` to the command line."""
    parser = subparsers.add_parser("summary", help="print what every arm kept and learned")
    parser.set_defaults(run=lambda arguments: print(table(built()["arms"])))


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


def table(arms: dict[str, Any]) -> str:
    """Arms x general and domain accuracy in per cent with Wilson's intervals, and where the report is."""
    lines = [("arm", "general", "domain", "verdict")]
    for name, figures in sorted(arms.items(), key=lambda arm: (arm[0] != "base", arm[0])):
        words = figures.get("verdict")
        said = f"general {words['general']}, domain {words['domain']}" if words else ""
        lines.append((name, _cell(figures.get("general")), _cell(figures.get("domain")), said))
    widths = [max(len(line[i]) for line in lines) for i in range(3)]
    rows = [
        "  ".join([*(cell.ljust(w) for cell, w in zip(line, widths, strict=False)), line[3]]).rstrip() for line in lines
    ]
    return "\n".join([*rows, "", f"The whole report: {PAGE.resolve()}"])


def _cell(found: dict[str, Any] | None) -> str:
    if found is None or found["n"] == 0:
        return "not measured"
    accuracy, low, high = (points(found[key], signed=False) for key in ("accuracy", "low", "high"))
    return f"{accuracy} [{low}, {high}] n={found['n']}"
