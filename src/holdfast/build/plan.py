"""`holdfast plan`: which stages are stale and why, and which model calls building them takes, before anything runs."""

import argparse
import hashlib
import heapq
import json
import os
import re
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from holdfast.build import dvc_file, job, staleness
from holdfast.build.parameters import params_of
from holdfast.build.plan_figures import Rows
from holdfast.build.plan_outlook import Outlook
from holdfast.build.plan_rows import rows_of
from holdfast.build.plan_text import Machine, Planned, named, print_plan
from holdfast.build.stages import Stage, downstream, makers, only_outputs_changed, upstream
from holdfast.common import section
from holdfast.common.arm_file import SWEPT
from holdfast.common.gpus import all_gpus
from holdfast.common.run_names import arm_and_seed
from holdfast.params.schema import Params
from holdfast.params.sweeps import swept
from holdfast.params.validation import validate

CHAIN = (
    "sandbox",
    "seed",
    "reconstruct",
    "clean",
    "generate",
    "score",
    "filter",
    "preferences",
    "probe",
    "mix",
    "train",
    "merge",
    "evaluate",
    "report",
)
LARGEST_HASHED = 64 << 20  # bytes; larger files are listed as changed, without their hashes


def command(subparsers: Any) -> None:
    """Add `plan` to the command line."""
    about = "list the stale jobs: why they are stale, their model calls, tokens, time and cost; runs nothing"
    parser = subparsers.add_parser("plan", help=about)
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    parser.add_argument("--gpus", type=int, help="GPUs that the build can use; by default those of this machine")
    parser.set_defaults(run=main)


def main(arguments: argparse.Namespace) -> None:
    """Print the plan."""
    planned = plan()
    if arguments.json:
        print(
            json.dumps([step._asdict() | {"rows": [row._asdict() for row in step.rows]} for step in planned], indent=2)
        )
    else:
        gpus = len(all_gpus()) if arguments.gpus is None else arguments.gpus
        print_plan(planned, Machine(gpus, len(os.sched_getaffinity(0))))


def plan() -> list[Planned]:
    """The stale stages in the order of building. Raises UserError when params.yaml or the rules are at fault."""
    params = validate()
    versions, changes = staleness.look()
    stages = versions.stages
    restorable = {name for name, found in changes.items() if only_outputs_changed(found)}
    due = downstream(stages, set(changes) - restorable)
    maker = makers(stages)
    lock = versions.lock.entries
    values = section.load()

    def known(path: str) -> bool:
        return maker.get(path) not in due and Path(path).exists()

    planned = []
    outlook = Outlook(params, known)
    for name in chain_order(stages):
        if name in due:
            why = list(reasons(changes.get(name, []), stages[name], lock.get(name, {}), values, due, maker))
            rows = rows_of(stages[name]["cmd"], outlook)
            after = sorted({maker[dep] for dep in stages[name]["deps"] if maker.get(dep) in due})
            gpus = gpus_of(stages[name]["cmd"], rows, params)
            planned.append(Planned(name, name in changes, why, rows, hours_of(name, rows), gpus, after))
        elif name in restorable:
            planned.append(Planned(name, True, ["outputs are missing or altered; the cache has them"], [], 0.0, 0, []))
    return planned


def chain_order(stages: Mapping[str, Stage]) -> list[str]:
    """The names of the stages, each after those that make its inputs, and otherwise by step and name."""
    maker = makers(stages)
    sorter = TopologicalSorter({name: upstream(stage, maker) for name, stage in stages.items()})
    sorter.prepare()
    ready: list[tuple[int, str]] = []
    order = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heapq.heappush(ready, (_rank(stages[name]), name))
        _, name = heapq.heappop(ready)
        order.append(name)
        sorter.done(name)
    return order


def _rank(stage: Stage) -> int:
    module = re.search(r"-m holdfast\.(?:steps\.)?(\w+)", stage["cmd"])
    return CHAIN.index(module[1]) if module and module[1] in CHAIN else len(CHAIN)


def hours_of(stage: str, rows: list[Rows]) -> float | None:
    """By the speed of the models that are asked, or as long as the job took last time."""
    if rows and not any(row.uncounted for row in rows):
        hours = [row.hours for row in rows if row.hours is not None]
        return sum(hours) if len(hours) == len(rows) else None
    seconds = job.last_duration_s(stage)
    return None if seconds is None else seconds / 3600


def gpus_of(command: str, rows: list[Rows], params: Params) -> int:
    """GPUs that the job's models need; an arm is evaluated under the base model's settings."""
    if {"holdfast.steps.train", "holdfast.steps.train.dpo"} & set(command.split()):
        return params.training(arm_and_seed(command.split()[command.split().index("--run") + 1])[0]).gpus
    return max((params.models.get(row.model, params.models[params.base]).gpus for row in rows), default=0)


def reasons(
    found: list[Any],
    stage: Mapping[str, Any],
    record: Mapping[str, Any],
    values: Any,
    due: set[str],
    maker: Mapping[str, str],
) -> Iterator[str]:
    """Why a stage is stale, one reason a line: parameter or file, from what to what."""
    if not record:
        yield "never built"
        return
    if record["cmd"] != stage["cmd"]:
        yield f"command: {shown_difference(record['cmd'], stage['cmd'])}"
    of_sweeps = swept(values)
    for path, keys in params_of(stage).items():
        if path != str(dvc_file.DIGESTS):
            before = record.get("params", {}).get(path, {})
            now = values if path == section.PARAMS_FILE else of_sweeps
            for key in keys:
                yield from parameter_changes(key, before.get(key, ABSENT), current_value(now, key))
    hashes = {entry["path"]: entry.get("md5", "") for entry in record.get("deps", [])}
    for change in found:
        if isinstance(change, dict):
            for path, state in change.get("changed deps", {}).items():
                if path == str(dvc_file.DIGESTS) and not isinstance(state, dict):  # built before there were digests
                    yield "code: not recorded"
                elif path == str(dvc_file.DIGESTS):
                    yield f"code: {', '.join(key.replace('/', '.') for key in state)}"
                elif path not in (section.PARAMS_FILE, SWEPT) and maker.get(path) not in due:
                    yield f"{path}: {file_change(path, state, hashes.get(path, ''))}"
            for path, state in change.get("changed outs", {}).items():
                yield f"output {path}: {state}"
    if above := sorted({maker[dep] for dep in stage["deps"] if maker.get(dep) in due}):
        yield f"after {named(above)}"


ABSENT = "(absent)"


def current_value(values: Any, key: str) -> Any:
    """The value at a dotted key, or ABSENT, which can be printed."""
    found = section.look_up(values, key)
    return ABSENT if found is section.ABSENT else found


def parameter_changes(key: str, before: Any, now: Any) -> Iterator[str]:
    """One line per leaf that differs."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in sorted({*before, *now}):
            yield from parameter_changes(f"{key}.{name}", before.get(name, ABSENT), now.get(name, ABSENT))
    elif before != now:
        yield f"{key}: {before} → {now}"


def file_change(path: str, state: str, before: str) -> str:
    """How a file changed, by the first digits of its hashes where it is small enough to hash now."""
    file = Path(path)
    if state != "modified" or not file.is_file() or file.stat().st_size > LARGEST_HASHED:
        return state
    return f"{before[:8]} → {hashlib.md5(file.read_bytes()).hexdigest()[:8]}"


def shown_difference(before: str, now: str) -> str:
    """The words that two commands do not share, the first of many."""
    one, two = before.split(), now.split()
    lost, new = ([word for word in words if word not in others] for words, others in ((one, two), (two, one)))
    return f"{named(lost, 'word', ' ') or '…'} → {named(new, 'word', ' ') or '…'}"
