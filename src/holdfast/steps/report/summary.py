"""Report: so what? Every arm against the base: one page that needs no network, and metrics/summary.json."""

from typing import Any

import polars as pl

from holdfast.steps.report.params import Report
from holdfast.steps.report.proof import prove
from holdfast.steps.report.verdict import checks, verdict


def summarise(runs: dict[str, pl.DataFrame], measures: dict[str, str], report: Report) -> dict[str, Any]:
    """The proof with every arm's verdict and its checks against the declared limits."""
    summary = prove(runs, measures, report)
    for name, figures in summary["arms"].items():
        if name != "base":
            figures["verdict"] = verdict(figures, report.limits, report.confidence)
            figures["checks"] = [c._asdict() for c in checks(name, figures, report.limits, report.reference)]
    return summary
