"""Sweeps: one setting of an arm in several values, drawn as a curve for each ability."""

import math
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from holdfast.steps.report.plots import curves

Figures = dict[str, Any]
ABILITIES = ("domain", "general")  # blue and orange, as the lines of a plot are
WIDE = 30.0  # times as large a value: the axis is logarithmic


def sweep_figures(found: Mapping[str, Any], arms: Mapping[str, Any], confidence: str) -> list[Figures]:
    """Of each sweep its plot, the words below it, and its points as rows of a table.

    `found`: by name `arm`, `set` and `points` (each with `value` and `arm`). `arms`: of the summary; accuracies are
    shares, plots are in per cent.
    """
    drawn = []
    for name, sweep in found.items():
        rows = [point | {"figures": arms[point["arm"]]} for point in sorted(sweep["points"], key=lambda p: p["value"])]
        values = [row["value"] for row in rows]
        log = min(values) > 0 and max(values) / min(values) >= WIDE
        lines, bars = [], []
        for ability in ABILITIES:
            measured = [
                (math.log10(row["value"]) if log else row["value"], row["figures"][ability])
                for row in rows
                if row["figures"].get(ability, {}).get("accuracy") is not None
            ]
            if measured:
                lines.append((ability, [(at, 100 * one["accuracy"]) for at, one in measured]))
                bars.append([(at, 100 * one["low"], 100 * one["high"]) for at, one in measured])
        setting = sweep["set"]
        axis = f"log10 of {setting}" if log else setting
        title = f"Accuracy against {setting} of {sweep['arm']}"
        plot = curves(lines, title, axis, "accuracy, per cent", bars) if lines else ""
        caption = f"{title} (sweep {name}), with {confidence} intervals."
        drawn.append({"name": name, "set": setting, "plot": Markup(plot), "caption": caption, "rows": rows})
    return drawn
