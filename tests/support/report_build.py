"""The report step on a made-up build, run as its rule runs it."""

import subprocess
import sys
from pathlib import Path

from models import ROOT
from report_data import MODELS

ARMS = ("domain_only", "public", "rehearsed")


def build(
    root: Path, *averages: str, curves: str = "base", aligned: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run the step in `root` as the rule does; `averages`: arms without a mixture and training of their own; `aligned`:
    those that are trained on pairs."""
    lists = {
        "generations": [f"data/generate/{model}.parquet" for model in MODELS],
        "scores": [f"data/score/{model}.parquet" for model in MODELS],
        "mixtures": [f"data/mix/{arm}/summary.json" for arm in ARMS],
        "rejected": ["data/clean/rejected.parquet", "data/filter/selected.rejected.parquet"]
        + [f"data/generate/{model}.rejected.parquet" for model in MODELS]
        + [f"data/mix/{arm}/rejected.parquet" for arm in ARMS],
        "evaluations": [f"data/evaluate/{arm}.parquet" for arm in ("base", *ARMS, *averages, *aligned)],
        "metrics": ["metrics/clean.json", "metrics/filter.json", "metrics/my_own.json"],
        "curves": [f"plots/train/{arm}.csv" for arm in (*ARMS, *aligned)],
        "aligned": [f"data/train/dpo/{arm}.json" for arm in aligned],
    }
    command = [
        sys.executable,
        "-m",
        "holdfast.steps.report",
        "--params",
        f"base,report,evaluate.suites,train.budget,arms,{curves}",
    ]
    command += ["--prompts", "data/seed/prompts.parquet", "--samples", "data/reconstruct/samples.parquet"]
    command += ["--instructions", "data/clean/instructions.parquet", "--all-scores", "data/filter/all_scores.parquet"]
    command += ["--selected", "data/filter/selected.parquet"]
    command += ["--summary", "metrics/summary.json", "--page", "report/index.html"]
    for name, paths in lists.items():
        command += [f"--{name}", *paths]
    return subprocess.run(
        command,
        cwd=root,
        env={"PYTHONPATH": str(ROOT / "src"), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )
