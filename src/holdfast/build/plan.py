"""`holdfast plan`: which stages are stale and why, and which model calls building them takes, before anything runs."""

import argparse
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.build import dvc_file, job, staleness
from holdfast.build.plan_rows import Rows, rows_of
from holdfast.build.stages import downstream, in_order, makers, only_outputs_changed
from holdfast.common import section
from holdfast.common.wording import counted, duration
from holdfast.params.schema import Params
from holdfast.params.validation import validate

LARGEST_HASHED = 64 << 20  # bytes; larger files are listed as changed, without their hashes


class Planned(NamedTuple):
    """One stale stage. `certain` is false if it runs only if an upstream stage writes something new."""

    stage: str
    certain: bool
    why: list[str]
    rows: list[Rows]
    hours: float | None  # of the whole job, on one machine; None: unknown
    gpus: int


def command(subparsers: Any) -> None:
    """Add `plan` to the command line."""
    about = "list the stale jobs: why they are stale, their model calls, tokens, time and cost; runs nothing"
    parser = subparsers.add_parser("plan", help=about)
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    parser.set_defaults(run=main)


def main(arguments: argparse.Namespace) -> None:
    """Print the plan."""
    planned = plan()
    if arguments.json:
        print(
            json.dumps([step._asdict() | {"rows": [row._asdict() for row in step.rows]} for step in planned], indent=2)
        )
    else:
        print("\n".join(text(planned)))


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
    for name in in_order(stages):
        if name in due:
            why = list(reasons(changes.get(name, []), stages[name], lock.get(name, {}), values, due, maker))
            rows = rows_of(stages[name]["cmd"], params, known)
            gpus = gpus_of(stages[name]["cmd"], rows, params)
            planned.append(Planned(name, name in changes, why, rows, hours_of(name, rows), gpus))
        elif name in restorable:
            planned.append(Planned(name, True, ["outputs are missing or altered; the cache has them"], [], 0.0, 0))
    return planned


def hours_of(stage: str, rows: list[Rows]) -> float | None:
    """By the speed of the models that are asked, or as long as the job took last time."""
    if rows and not any(row.uncounted for row in rows):
        hours = [row.hours for row in rows if row.hours is not None]
        return sum(hours) if len(hours) == len(rows) else None
    seconds = job.last_duration_s(stage)
    return None if seconds is None else seconds / 3600


def gpus_of(command: str, rows: list[Rows], params: Params) -> int:
    """GPUs that the job's models need; an arm is evaluated under the base model's settings."""
    if "holdfast.steps.train" in command.split():
        return params.train.gpus
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
    before = record.get("params", {}).get(section.PARAMS_FILE, {})
    for key in filter(lambda entry: isinstance(entry, str), stage["params"]):
        yield from parameter_changes(key, before.get(key, ABSENT), current_value(values, key))
    hashes = {entry["path"]: entry.get("md5", "") for entry in record.get("deps", [])}
    for change in found:
        if isinstance(change, dict):
            for path, state in change.get("changed deps", {}).items():
                if path == str(dvc_file.DIGESTS) and not isinstance(state, dict):  # built before there were digests
                    yield "code: not recorded"
                elif path == str(dvc_file.DIGESTS):
                    yield f"code: {', '.join(key.replace('/', '.') for key in state)}"
                elif path != section.PARAMS_FILE and maker.get(path) not in due:
                    yield f"{path}: {file_change(path, state, hashes.get(path, ''))}"
            for path, state in change.get("changed outs", {}).items():
                yield f"output {path}: {state}"
    if above := sorted({maker[dep] for dep in stage["deps"] if maker.get(dep) in due}):
        yield f"after {', '.join(above)}"


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
    """The words that two commands do not share."""
    one, two = before.split(), now.split()
    return f"{' '.join(w for w in one if w not in two) or '…'} → {' '.join(w for w in two if w not in one) or '…'}"


def text(planned: list[Planned]) -> Iterator[str]:
    """The plan as lines of text."""
    if not planned:
        yield "Nothing to do: everything is up to date."
        return
    for step in planned:
        yield f"{step.stage}{'' if step.certain else ' (if what it reads changes)'}{lasts(step.hours, step.gpus)}"
        yield from (f"    {reason}" for reason in step.why)
        yield from (f"    {line(row)}" for row in step.rows)
    yield total(planned)


def total(planned: list[Planned]) -> str:
    """The last line: the sums over all jobs. They are no upper bounds if something is not counted."""
    rows = [row for step in planned for row in step.rows]
    uncounted = any(row.uncounted for row in rows)
    most = "at most " if any(row.estimate for row in rows) and not uncounted else ""
    unknown = [step for step in planned if step.hours is None]
    gpu_hours = sum((step.hours or 0) * step.gpus for step in planned)
    waiting = sum(step.gpus > 0 for step in unknown)
    on_gpus = f" ({waiting} of them on GPUs)" if waiting else ""
    unpriced = uncounted or any(row.money and row.prompt_tokens is None for row in rows)
    parts = [
        f"{counted(len(planned), 'job')}: {most}{counted(sum(row.asked or 0 for row in rows), 'model call')}",
        f"{counted(sum(row.reused for row in rows), 'row')} reused",
        f"{'' if uncounted else 'at most '}{counted(sum(row.output_tokens for row in rows), 'output token')}",
        duration(hours * 3600) if (hours := sum(step.hours or 0 for step in planned)) else "",
        f"{gpu_hours:,.1f} GPU-hours" if gpu_hours else "",
        f"{counted(len(unknown), 'job')} of unknown duration{on_gpus}" if unknown else "",
        f"cost: {'about' if unpriced else 'at most about'} {price}" if (price := money(rows)) else "",
        "plus what is not counted above" if uncounted else "",
    ]
    return ", ".join(filter(None, parts))


def money(rows: list[Rows]) -> str:
    """The price of all rows, each currency by itself; empty if nothing has a price."""
    sums: dict[str, float] = {}
    for row in rows:
        sums[row.currency] = sums.get(row.currency, 0.0) + row.money
    return " + ".join(f"{amount:,.2f} {currency}" for currency, amount in sorted(sums.items()) if amount)


def line(row: Rows) -> str:
    """One model's rows."""
    if row.asked is None:
        return f"{row.model}: {row.uncounted}"
    most = "at most " if row.estimate else ""
    upper = "at most about" if row.estimate else "about"
    prompt = "an unknown number of" if row.prompt_tokens is None else f"{upper} {row.prompt_tokens:,}"
    price = f"; cost: at most about {money([row])}" if row.money else ""
    price += ", without the prompts" if row.money and row.prompt_tokens is None else ""
    return (
        f"{row.model}: {most}{counted(row.asked, 'row')} to ask, {row.reused:,} reused;"
        f" {prompt} prompt tokens, at most {counted(row.output_tokens, 'output token')}{price}"
    )


def lasts(hours: float | None, gpus: int) -> str:
    """How long a job is expected to take, as a suffix."""
    return "" if hours is None else f": {duration(hours * 3600)}" + (f" on {counted(gpus, 'GPU')}" if gpus else "")
