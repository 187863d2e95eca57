"""`holdfast summary`: the arms' accuracies in the terminal."""

from typing import Any

from holdfast.cli.check import PAGE, built
from holdfast.steps.report.verdict import points


def command(subparsers: Any) -> None:
    """Add `summary` to the command line."""
    parser = subparsers.add_parser("summary", help="print what every arm kept and learned")
    parser.set_defaults(run=lambda arguments: print(table(built()["arms"])))


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
