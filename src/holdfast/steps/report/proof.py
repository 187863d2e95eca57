"""What every arm gained and lost against the base, and how sure that is: `metrics/summary.json`.

All figures are shares (0 to 1), not points. The figures of an arm trained with several seeds are means over them.
"""

from typing import Any

import numpy as np
import polars as pl

from holdfast.common.errors import UserError
from holdfast.common.ids import row_seed
from holdfast.common.run_names import arm_and_seed
from holdfast.steps.report.params import Report
from holdfast.steps.report.statistics import (
    Floats,
    crossed,
    holm,
    mcnemar_exact,
    paired_bootstrap,
    paired_score,
    wilson,
)

ABILITIES = ("general", "domain")


KEYS = ["suite", "task", "item_id"]


def wide(runs: dict[str, pl.DataFrame], measures: dict[str, str]) -> pl.DataFrame:
    """The evaluations side by side: suite, task, item_id, ability, and one 0/1 column per run (null: not graded).

    Sorted by item, so that the order of rows in the files changes nothing. Raises UserError when a run answers other
    items than the base model, or a suite that params.yaml does not name.
    """
    items = runs["base"].select(KEYS).sort(KEYS)
    if unknown := sorted(set(items["suite"]) - set(measures)):
        raise UserError(f"data/evaluate/base.parquet: params.yaml names no suite {unknown[0]!r}; evaluate again")
    table = items.with_columns(ability=pl.col("suite").replace_strict(measures, return_dtype=pl.String))
    for run, frame in sorted(runs.items()):
        if not items.equals(frame.select(KEYS).sort(KEYS)):
            raise UserError(f"data/evaluate/{run}.parquet: not the items that the base model answered; evaluate again")
        marks = frame.select(*KEYS, pl.col("correct").cast(pl.Float64).alias(run))
        table = table.join(marks, on=KEYS, how="left", validate="1:1", maintain_order="left")
    return table


def runs_of(table: pl.DataFrame) -> dict[str, list[str]]:
    """The runs (columns) of every arm, by training seed; `base` first."""
    found: dict[str, list[tuple[int, str]]] = {}
    for run in table.columns[len(KEYS) + 1 :]:
        arm, seed = arm_and_seed(run)
        found.setdefault(arm, []).append((seed, run))
    return {arm: [run for _, run in sorted(found[arm])] for arm in sorted(found, key=lambda arm: (arm != "base", arm))}


def accuracy(table: pl.DataFrame, runs: list[str], confidence: float) -> dict[str, Any]:
    """Mean accuracy of an arm's `runs`, Wilson's interval over the n items graded in all of them, and each seed's."""
    marks = table.select(runs).drop_nulls()
    n = len(marks)
    if n == 0:
        return {"accuracy": None, "n": 0, "low": None, "high": None, "ungraded": len(table), "by_seed": []}
    by_seed = marks.mean().row(0)
    mean = float(np.mean(by_seed))
    low, high = wilson(mean * n, n, confidence)
    return {
        "accuracy": mean,
        "n": n,
        "low": low,
        "high": high,
        "ungraded": len(table) - n,
        "by_seed": [float(share) for share in by_seed],
    }


def _matrix(table: pl.DataFrame, before: list[str], after: list[str]) -> tuple[Floats, Floats]:
    """Marks (seeds x items) before and after, of items graded everywhere; a lone run stands beside every seed."""
    seeds = max(len(before), len(after)) if min(len(before), len(after)) == 1 else min(len(before), len(after))
    left, right = ((runs * seeds)[:seeds] for runs in (before, after))
    marks = table.select(sorted({*left, *right})).drop_nulls()
    return np.stack([marks[run].to_numpy() for run in left]), np.stack([marks[run].to_numpy() for run in right])


def compare(table: pl.DataFrame, before: list[str], after: list[str], report: Report, name: str) -> dict[str, Any]:
    """The paired difference of accuracies, runs `after` less runs `before`, over the rows of `table`.

    One seed: paired bootstrap (low, high), Tango's score interval (bound_low, bound_high: what verdicts go by, as it
    holds for few changed items too) and McNemar's exact p. Several seeds: low and high from seeds x items crossed,
    seed_sd, the spread between seeds, and bounds and p that are never surer than the crossed ones, nor than those of
    one seed with the mean counts. `learned` and `forgotten` are counts of items 0->1 and 1->0, means over seeds.
    """
    first, second = _matrix(table, before, after)
    seeds, n = first.shape
    changes = second - first
    learned, forgotten = float((changes > 0).sum() / seeds), float((changes < 0).sum() / seeds)
    found: dict[str, Any] = {"n": n, "seeds": seeds, "learned": learned, "forgotten": forgotten, "seed_sd": None}
    if n == 0:
        return found | dict.fromkeys(("difference", "low", "high", "bound_low", "bound_high", "p"))
    found["difference"] = float(changes.mean())
    bound_low, bound_high = paired_score(forgotten, learned, n, report.confidence)
    p = mcnemar_exact(forgotten, learned)
    if seeds > 1 and n > 1:
        over_both = crossed(changes, report.confidence)
        low, high = (min(1.0, max(-1.0, side)) for side in over_both.interval)  # few seeds give more than there is
        bound_low, bound_high, p = min(low, bound_low), max(high, bound_high), max(p, over_both.p)
        found["seed_sd"] = over_both.seed_sd
    else:
        over_items, seed = changes.mean(axis=0), row_seed(0, "bootstrap", name)
        low, high = paired_bootstrap(over_items, report.confidence, report.resamples, seed)
    return found | {"low": low, "high": high, "bound_low": bound_low, "bound_high": bound_high, "p": p}


def comparison(table: pl.DataFrame, before: list[str], after: list[str], report: Report) -> dict[str, Any]:
    """`compare` for each ability, suite and task; the p-values of all tasks also adjusted by Holm (`p_holm`)."""
    name = f"{before[0]} {after[0]}"
    found: dict[str, Any] = {"suites": {}}
    for ability in ABILITIES:
        if len(part := table.filter(pl.col("ability") == ability)):
            found[ability] = compare(part, before, after, report, f"{name} {ability}")
    tasks = []
    for (suite,), part in sorted(table.group_by(["suite"]), key=lambda group: str(group[0])):
        compared = compare(part, before, after, report, f"{name} {suite}") | {"tasks": {}}
        found["suites"][suite] = compared
        for (task,), rows in sorted(part.group_by(["task"]), key=lambda group: str(group[0])):
            compared["tasks"][task] = compare(rows, before, after, report, f"{name} {suite} {task}")
            tasks.append(compared["tasks"][task])
    graded = [task for task in tasks if task["p"] is not None]
    for task, adjusted in zip(graded, holm([task["p"] for task in graded]), strict=True):
        task["p_holm"] = adjusted
    return found


def prove(runs: dict[str, pl.DataFrame], measures: dict[str, str], report: Report) -> dict[str, Any]:
    """Every arm's accuracies, and its comparison with the base and with the reference arm.

    `runs`: EVALUATIONS by run name (`base`, `<arm>`, `<arm>-s1`, …). `measures`: the ability of each suite.
    """
    table = wide(runs, measures)
    arms = runs_of(table)
    found: dict[str, Any] = {}
    for arm, columns in arms.items():
        entry: dict[str, Any] = {"seeds": len(columns), "suites": {}, "against": {}}
        for ability in ABILITIES:
            if len(part := table.filter(pl.col("ability") == ability)):
                entry[ability] = accuracy(part, columns, report.confidence)
        for (suite,), part in sorted(table.group_by(["suite"]), key=lambda group: str(group[0])):
            entry["suites"][suite] = accuracy(part, columns, report.confidence) | {
                "measures": measures[str(suite)],
                "tasks": {
                    task: accuracy(rows, columns, report.confidence)
                    for (task,), rows in sorted(part.group_by(["task"]), key=lambda group: str(group[0]))
                },
            }
        for other in ("base", report.reference):
            if other in arms and arm not in ("base", other):
                entry["against"][other] = comparison(table, arms[other], columns, report)
        found[arm] = entry
    return {"confidence": report.confidence, "reference": report.reference, "arms": found}
