"""The loss curve of a training run: how often the loss is logged, and the log as CSV."""

import csv
import io
from typing import Any

COLUMNS = ("step", "epoch", "loss", "eval_loss", "learning_rate", "grad_norm")
POINTS, FEWEST_POINTS = 50, 10  # of the curve: the target, and the minimum whatever `logging_steps` is


def steps_between_logs(steps: int, wanted: int | None) -> int:
    """Optimiser steps between two logs of the loss in a run of `steps`; `wanted`: Axolotl's `logging_steps`, if set.

    `steps` is the trainer's own count, which packing, gradient accumulation and the number of GPUs have entered. A
    `wanted` that gives fewer than FEWEST_POINTS is lowered: in a short run no loss would be logged.
    """
    return max(1, steps // POINTS) if wanted is None else min(wanted, max(1, steps // FEWEST_POINTS))


def curve(log: list[dict[str, Any]]) -> str:
    """The trainer's log as CSV with COLUMNS, one line per step that has a training or validation loss."""
    steps: dict[int, dict[str, Any]] = {}
    for entry in log:
        if "loss" in entry or "eval_loss" in entry:
            steps.setdefault(entry["step"], {}).update(entry)
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(steps[step] for step in sorted(steps))
    return text.getvalue()
