"""The paper's table in the sandbox: envs/in-env core python bench/ladder.py FOLDER [SEED...]

Builds the whole chain once per seed (0 to 4 unless told otherwise) in FOLDER/<seed>, each a clone of this checkout with
a world, models, samples and trainings of its own, and prints as Markdown the rungs (base, domain only, public, 1 x 1,
1 x L, K x L) and a sweep over the share of rehearsal. A folder that is built already is only read. Intervals and
p-values are over seeds (Student's t, paired by seed), the p-values of the comparisons are corrected by Holm.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy import stats

from holdfast.steps.report.statistics import holm

ROOT = Path(__file__).resolve().parents[1]
WANTED = "metrics/summary.json"
RUNGS = {  # arm: what it is, and the paper's average over the tasks of Open LLM Leaderboard 2, as reported
    "base": ("the base model, not fine-tuned", "39.00"),
    "domain_only": ("domain data only", ""),
    "public": ("+ a public set (ShareGPT; GenQA)", "38.00; 35.91"),
    "ladder_1x1": ("+ rehearsal, 1 model x 1 response, no filter", "38.81"),
    "ladder_1xl": ("+ rehearsal, 1 model x 3 responses, own filter", "39.06"),
    "rehearsed": ("+ rehearsal, 3 models x 3 responses, committee filter", "39.21"),
}
SELECTIONS = {
    "ladder_1x1": {"models": ["base"], "samples": 1, "judges": []},
    "ladder_1xl": {"models": ["base"], "judges": ["base"]},
}
SWEEP = (0.33, 0.5, 0.67)  # shares of rehearsal, besides none (domain_only) and that of `rehearsed`
COMPARED = [  # general accuracy of the second less the first
    *[("base", arm) for arm in list(RUNGS)[1:]],
    ("domain_only", "rehearsed"),
    ("public", "ladder_1x1"),
    ("public", "rehearsed"),
    ("ladder_1x1", "ladder_1xl"),
    ("ladder_1xl", "rehearsed"),
]


def ladder(params: dict[str, Any], seed: int) -> dict[str, Any]:
    """The sandbox's parameters with both seeds set and an arm for every rung, at the share of `rehearsed`."""
    share = params["arms"]["rehearsed"]["sources"]
    sources = {name: {"selection": name} for name in SELECTIONS}
    arms = {name: {"sources": {name: share["rehearsal"], "domain": share["domain"]}} for name in SELECTIONS}
    arms |= {f"share_{100 * part:.0f}": {"sources": {"rehearsal": part, "domain": 1 - part}} for part in SWEEP}
    return params | {
        "random_seed": seed,
        "sandbox": params["sandbox"] | {"seed": seed},
        "filter": params["filter"] | SELECTIONS,
        "sources": params["sources"] | sources,
        "arms": params["arms"] | arms,
    }


def build(folder: Path, seed: int) -> dict[str, Any]:
    """The summary of a clone of this checkout, built whole."""
    if not (folder / WANTED).exists():
        if not folder.exists():
            subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
            params = folder / "params.yaml"
            params.write_text(yaml.safe_dump(ladder(yaml.safe_load(params.read_text()), seed), sort_keys=False))
        subprocess.run([folder / "envs" / "in-env", "core", "snakemake", "--cores", "all"], cwd=folder, check=True)
    found: dict[str, Any] = json.loads((folder / WANTED).read_text())["arms"]
    return found


def over_seeds(values: list[float]) -> tuple[float, float, float]:
    """95 % interval of the mean and the p-value of "it is zero", by Student's t; equal values leave no doubt."""
    if np.ptp(values) < 1e-12:
        return values[0], values[0], float(abs(values[0]) < 1e-12)
    test = stats.ttest_1samp(values, 0)
    interval = test.confidence_interval(0.95)
    return float(interval.low), float(interval.high), float(test.pvalue)


def mean(values: list[float]) -> str:
    """Mean in per cent or points and 95 % interval over seeds."""
    low, high, _ = over_seeds(values)
    return f"{100 * np.mean(values):.1f} ({100 * low:.1f} to {100 * high:.1f})".replace("-", "\N{MINUS SIGN}")


def table(summaries: list[dict[str, Any]]) -> str:
    """The rungs, and the comparisons between them, as two Markdown tables."""

    def accuracy(arm: str, ability: str) -> list[float]:
        return [summary[arm][ability]["accuracy"] for summary in summaries]

    lines = [
        f"Accuracy in per cent, mean over {len(summaries)} seeds with a 95 % interval. Paper: average, as reported.",
        "",
        "| rung | general | domain | general by seed | paper |",
        "|---|---|---|---|---|",
    ]
    for arm, (what, reported) in RUNGS.items():
        single = " ".join(f"{100 * value:.1f}" for value in accuracy(arm, "general"))
        lines.append(
            f"| {what} | {mean(accuracy(arm, 'general'))} | {mean(accuracy(arm, 'domain'))} | {single} | {reported} |"
        )
    changes = [
        [after - before for before, after in zip(accuracy(one, "general"), accuracy(other, "general"), strict=True)]
        for one, other in COMPARED
    ]
    adjusted = holm([over_seeds(change)[2] for change in changes])
    lines += [
        "",
        "Change of general accuracy in points, paired by seed; p corrected by Holm for all rows.",
        "",
        "| from | to | change | p |",
        "|---|---|---|---|",
    ]
    for (one, other), change, p in zip(COMPARED, changes, adjusted, strict=True):
        said = "< 0.001" if p < 0.001 else f"{p:.3f}"
        lines.append(f"| {RUNGS[one][0]} | {RUNGS[other][0]} | {mean(change)} | {said} |")
    return "\n".join([*lines, "", *frontier(summaries)])


def frontier(summaries: list[dict[str, Any]]) -> list[str]:
    """What the share of rehearsal costs and saves, as a Markdown table."""
    lines = ["Change against the base in points, by the share of rehearsal in the mixture.", ""]
    lines += ["| share | general | domain |", "|---|---|---|"]
    rows = [(0.0, "domain_only"), *((part, f"share_{100 * part:.0f}") for part in SWEEP), (0.83, "rehearsed")]
    for share, arm in rows:
        changes = [
            mean([s[arm][ability]["accuracy"] - s["base"][ability]["accuracy"] for s in summaries])
            for ability in ("general", "domain")
        ]
        lines.append(f"| {share:.2f} | {' | '.join(changes)} |")
    return lines


def seeds_of(words: list[str]) -> list[int]:
    """The seeds that the command line asks for."""
    seeds = [int(seed) for seed in words[1:]] or list(range(5))
    if len(seeds) < 2:
        raise SystemExit("an interval over seeds needs at least two seeds")
    return seeds


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    print(table([build(folder / str(seed), seed) for seed in seeds_of(sys.argv[1:])]))


if __name__ == "__main__":
    main()
