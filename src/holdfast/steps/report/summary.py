"""`metrics/summary.json`: every arm's accuracies, its changes against the base and the reference arm, and verdicts."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from holdfast.common.errors import UserError
from holdfast.common.run_names import arm_and_seed
from holdfast.steps.report.comparison import AVERAGES, accuracy, change_ranges, compare, confidence_above, pairs, parts
from holdfast.steps.report.cost import Cost
from holdfast.steps.report.frontier import differences, frontier
from holdfast.steps.report.params import Report
from holdfast.steps.report.recommendation import candidate, recommend
from holdfast.steps.report.statistics import holm
from holdfast.steps.report.verdict import Limit, checks, limits, verdict

ABILITIES = ("general", "domain")
KEYS = ["suite", "task", "item_id"]
_FIRST_RUN = len(KEYS) + 2  # columns before the runs


def side_by_side(runs: dict[str, pl.DataFrame], measures: dict[str, str]) -> pl.DataFrame:
    """One table of all evaluations: suite, task, item_id, ability, cluster, and for each run 0 or 1 (null: not graded).

    `cluster`: a number for each cluster of items of a suite; an item without one is a cluster of its own. Sorted by
    item, so that the order of rows in the files changes nothing. Raises UserError when a run answers other items than
    the base model, or a suite that params.yaml does not name.
    """
    base = runs["base"].sort(KEYS)
    items = base.select(KEYS)
    if unknown := sorted(set(items["suite"]) - set(measures)):
        raise UserError(f"data/evaluate/base.parquet: params.yaml names no suite {unknown[0]!r}; evaluate again")
    own = pl.format("item {}\0{}", "task", "item_id")
    shared = pl.format("cluster {}", "cluster")
    key = pl.format("{}\0{}", "suite", pl.when(pl.col("cluster").is_null()).then(own).otherwise(shared))
    table = items.with_columns(
        ability=pl.col("suite").replace_strict(measures, return_dtype=pl.String),
        cluster=base.select(key.rank("dense").cast(pl.Int64)).to_series(),
    )
    for run, frame in sorted(runs.items()):
        if not items.equals(frame.select(KEYS).sort(KEYS)):
            raise UserError(f"data/evaluate/{run}.parquet: not the items that the base model answered; evaluate again")
        marks = frame.select(*KEYS, pl.col("correct").cast(pl.Float64).alias(run))
        table = table.join(marks, on=KEYS, how="left", validate="1:1", maintain_order="left")
    return table


def runs_of(table: pl.DataFrame) -> dict[str, list[str]]:
    """The runs (columns) of every arm, by training seed; `base` first."""
    found: dict[str, list[tuple[int, str]]] = {}
    for run in table.columns[_FIRST_RUN:]:
        arm, seed = arm_and_seed(run)
        found.setdefault(arm, []).append((seed, run))
    return {arm: [run for _, run in sorted(found[arm])] for arm in sorted(found, key=lambda arm: (arm != "base", arm))}


def groups(table: pl.DataFrame, column: str) -> list[tuple[str, pl.DataFrame]]:
    """The rows of each value of `column`, in the order of the values."""
    return sorted(((str(key), part) for (key,), part in table.group_by([column])), key=lambda group: group[0])


def comparison(table: pl.DataFrame, before: list[str], after: list[str], report: Report) -> dict[str, Any]:
    """`compare` for each ability (by both averages), suite and task; `p_holm`: p of all tasks, adjusted by Holm."""
    name = f"{before[0]} {after[0]}"
    found: dict[str, Any] = {"suites": {}, "averages": {}}
    for average in AVERAGES:
        found["averages"][average] = {
            ability: compare(part, before, after, report, average, f"{name} {ability}")
            for ability in ABILITIES
            if len(part := table.filter(pl.col("ability") == ability))
        }
    tasks = []
    for suite, part in groups(table, "suite"):
        compared = compare(part, before, after, report, "items", f"{name} {suite}") | {"tasks": {}}
        found["suites"][suite] = compared
        for task, rows in groups(part, "task"):
            compared["tasks"][task] = compare(rows, before, after, report, "items", f"{name} {suite} {task}")
            tasks.append(compared["tasks"][task])
    graded = [task for task in tasks if task["p"] is not None]
    for task, adjusted in zip(graded, holm([task["p"] for task in graded]), strict=True):
        task["p_holm"] = adjusted
    return found | found["averages"][report.average]


def measured(table: pl.DataFrame, runs: list[str], measures: dict[str, str], report: Report) -> dict[str, Any]:
    """`accuracy` of an arm's `runs` for each ability (by both averages), suite and task."""
    found: dict[str, Any] = {"seeds": len(runs), "suites": {}, "averages": {}, "against": {}}
    for average in AVERAGES:
        found["averages"][average] = {
            ability: accuracy(part, runs, report.confidence, average)
            for ability in ABILITIES
            if len(part := table.filter(pl.col("ability") == ability))
        }
    for suite, part in groups(table, "suite"):
        found["suites"][suite] = accuracy(part, runs, report.confidence, "items") | {
            "measures": measures[suite],
            "tasks": {task: accuracy(rows, runs, report.confidence, "items") for task, rows in groups(part, "task")},
        }
    return found | found["averages"][report.average]


def summarise(runs: dict[str, pl.DataFrame], measures: dict[str, str], report: Report) -> dict[str, Any]:
    """The content of `metrics/summary.json`.

    `runs`: EVALUATIONS by run name (`base`, `<arm>`, `<arm>-s1`, …). `measures`: the ability of each suite. An arm's
    `general` and `domain` are by the average that verdicts go by (`report.average`), its `averages` are both.
    """
    table = side_by_side(runs, measures)
    arms = runs_of(table)
    found: dict[str, Any] = {}
    for arm, columns in arms.items():
        found[arm] = measured(table, columns, measures, report)
        for other in ("base", report.reference):
            if other in arms and arm not in ("base", other):
                found[arm]["against"][other] = comparison(table, arms[other], columns, report)
        if arm != "base":
            found[arm]["verdict"] = verdict(found[arm], report)
            found[arm]["checks"] = [check._asdict() for check in checks(arm, found[arm], report)]
    head = {"confidence": report.confidence, "reference": report.reference, "average": report.average}
    return head | {"arms": found}


def confidence_of(
    table: pl.DataFrame, by_arm: Mapping[str, list[str]], arm: str, limit: Limit, report: Report
) -> float:
    """The one-sided confidence with which the arm keeps the limit. `table`, `by_arm`: `side_by_side`, `runs_of`."""
    rows = table.filter(pl.col("ability") == limit.ability)
    paired = pairs(by_arm[limit.other], by_arm[arm])
    return confidence_above([change_ranges(part, paired) for part in parts(rows, report.average)], limit.least)


def advice(
    summary: dict[str, Any],
    runs: dict[str, pl.DataFrame],
    measures: dict[str, str],
    costs: dict[str, Cost],
    report: Report,
) -> dict[str, Any]:
    """What `summarise` does not hold: `frontier` and `recommendation`, and `arms` with their `cost`."""
    table = side_by_side(runs, measures)
    by_arm = runs_of(table)
    arms = {arm: figures | {"cost": costs[arm].figures()} for arm, figures in summary["arms"].items() if arm != "base"}
    abilities = [
        ability
        for ability in ABILITIES
        if all(figures.get(ability, {}).get("accuracy") is not None for figures in arms.values())
    ]
    accuracies = {
        arm: {ability: figures[ability]["accuracy"] for ability in abilities} for arm, figures in arms.items()
    }
    tested = differences(table, {arm: by_arm[arm] for arm in arms}, abilities, report)
    candidates = [candidate(arm, figures, report) for arm, figures in arms.items()]
    sure = {
        one.name: min(confidence_of(table, by_arm, one.name, limit, report) for limit in limits(one.name, report))
        for one in candidates
        if one.met and one.outcomes
    }
    return {
        "arms": {"base": summary["arms"]["base"]} | arms,
        "frontier": frontier(accuracies, tested, report.confidence) | {"abilities": abilities},
        "recommendation": recommend(candidates, sure, report),
    }
