"""`holdfast summary`: the arms' accuracies and verdicts in the terminal."""

from typing import Any

from holdfast.cli.check import PAGE, SUMMARY
from holdfast.common.files import read_json
from holdfast.steps.report.verdict import average_name, counted, frontier_in_words, points

NEXT = """
Next (first `source .venv/bin/activate`):
  holdfast check    are the limits in report.limits met?
  holdfast plan     after a change in params.yaml: which jobs are stale, why, and what building them costs"""


def command(subparsers: Any) -> None:
    """Add `summary` to the command line."""
    parser = subparsers.add_parser("summary", help="print the accuracy and the verdict of every arm")
    parser.set_defaults(run=lambda arguments: print(table(read_json(SUMMARY))))


def table(summary: dict[str, Any]) -> str:
    """The accuracies of every arm in per cent with their intervals, the verdicts, and where the report is."""
    arms = summary["arms"]
    lines = [("arm", "general", "domain", "verdict")]
    for name, figures in sorted(arms.items(), key=lambda arm: (arm[0] != "base", arm[0])):
        words = figures.get("verdict")
        said = f"general {words['general']}, domain {words['domain']}" if words else ""
        lines.append((name, _cell(figures.get("general")), _cell(figures.get("domain")), said))
    widths = [max(len(line[i]) for line in lines) for i in range(3)]
    rows = [
        "  ".join([*(cell.ljust(w) for cell, w in zip(line, widths, strict=False)), line[3]]).rstrip() for line in lines
    ]
    return "\n".join([*rows, "", *_notes(summary), *_advice(summary), f"Report: {PAGE.resolve()}"])


def closing() -> str:
    """What a build shows at its end: the table, and two commands to go on with; empty if there is no report yet."""
    if not SUMMARY.exists():
        return ""
    return f"{table(read_json(SUMMARY))}\n{NEXT}"


def _cell(found: dict[str, Any] | None) -> str:
    if found is None:
        return "not measured"
    missing = f", {found['ungraded']:,} not graded" if found["ungraded"] else ""
    if found["accuracy"] is None:
        return f"not measured{missing}"
    accuracy, low, high = (points(found[key], signed=False) for key in ("accuracy", "low", "high"))
    return f"{accuracy} [{low}, {high}] n={found['n']}{missing}"


def _advice(summary: dict[str, Any]) -> list[str]:
    """The frontier and the recommendation; a summary of an earlier version has neither."""
    if "frontier" not in summary:
        return []
    said = summary["recommendation"]
    lines = [
        f"{sentence}." for sentence in [*frontier_in_words(summary["frontier"], summary["confidence"]), *said["text"]]
    ]
    head = len(lines) - len(said["text"])
    lines[head] = f"Recommended: {lines[head]}" if said["arm"] else lines[head]
    return [*lines, ""]


def _notes(summary: dict[str, Any]) -> list[str]:
    figures = [arm[ability] for arm in summary["arms"].values() for ability in ("general", "domain") if ability in arm]
    notes = [
        f"{name} = {arm['average']}: an average of weights."
        for name, arm in summary["arms"].items()
        if "average" in arm
    ]
    notes += [
        f"{name} = {arm['preferences']}: preference training."
        for name, arm in summary["arms"].items()
        if "preferences" in arm
    ]
    if (suites := max((found["suite_count"] for found in figures), default=1)) > 1:
        how = f"the {average_name(summary['average'])}"
        notes.append(f"Accuracy and verdicts: {how} (report.average; an ability has up to {counted(suites, 'suite')}).")
    if any(found["ungraded"] for found in figures):
        notes.append("Items that are not graded count in the intervals as right and as wrong.")
    return notes
