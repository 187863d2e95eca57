"""What Snakemake's main process and a job tell each other, in files, because the job may run on another host.

The main process writes an order before it starts a job: the command, the state of everything that the job reads, and
the outputs of an equal earlier job, if there was one. A job that ended well writes a result, which has the order in it.
The main process then records the job's versions (recorder.py), or the next build does, should this one be dead by then.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.build.atomic import replace_text

ORDERS = Path(".holdfast/orders")
RESULTS = Path(".holdfast/results")
FOLDER_STAMP = ".snakemake_timestamp"  # Snakemake takes a folder's time from this file in it
TOUCHED_S = 120.0  # Snakemake renews the time stamps of a finished job's outputs, at the latest after so long

State = list[int] | None  # size in bytes, newest time stamp (ns), number of files; None: no such file


class Order(NamedTuple):
    """What a job is to do, and the state of its inputs when it was started."""

    build: str
    words: list[str]  # of the job's command, after `envs/job`
    deps: dict[str, State]
    params: dict[str, str]  # the text of each parameter file
    outs: list[str]
    earlier: dict[str, Any] | None  # an entry of dvc.lock: restore its outputs instead of running the command


class Result(NamedTuple):
    """A job that ended well."""

    order: Order
    params: dict[str, str]  # the digest of each parameter file as the job found it
    outs: dict[str, State]


def state(path: str) -> State:
    """Of a file, or of all files in a folder together."""
    if not os.path.isdir(path):
        try:
            found = os.stat(path)
        except FileNotFoundError:
            return None
        return [found.st_size, found.st_mtime_ns, 1]
    inner = [
        os.stat(os.path.join(at, name)) for at, _, names in os.walk(path) for name in names if name != FOLDER_STAMP
    ]
    return [sum(f.st_size for f in inner), max((f.st_mtime_ns for f in inner), default=0), len(inner)]


def states(paths: Iterable[str]) -> dict[str, State]:
    return {path: state(path) for path in paths}


def as_left(before: State, now: State) -> bool:
    """Whether an output is as its job left it, but for the time stamp that Snakemake may have renewed."""
    if before is None or now is None:
        return False
    return before[::2] == now[::2] and 0 <= now[1] - before[1] <= TOUCHED_S * 10**9


def digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def read_params(paths: Iterable[str]) -> dict[str, str]:
    """The text of each parameter file; empty where it is missing."""
    return {path: Path(path).read_text(encoding="utf-8") if os.path.exists(path) else "" for path in paths}


def write_order(stage: str, order: Order) -> None:
    (RESULTS / stage).unlink(missing_ok=True)
    _write(ORDERS / stage, order)


def read_order(stage: str) -> Order | None:
    """The stage's last order; None where there is none that can be read."""
    try:
        return Order(**json.loads((ORDERS / stage).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_result(stage: str, result: Result) -> None:
    _write(RESULTS / stage, result._replace(order=result.order._asdict()))  # type: ignore[arg-type]


def read_result(stage: str) -> Result | None:
    """The stage's last result; None where there is none that can be read."""
    try:
        found = json.loads((RESULTS / stage).read_text(encoding="utf-8"))
        return Result(Order(**found.pop("order")), **found)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def forget(stage: str) -> None:
    """Remove the stage's order and result."""
    for folder in (ORDERS, RESULTS):
        (folder / stage).unlink(missing_ok=True)


def _write(path: Path, content: Any) -> None:
    replace_text(path, json.dumps(content._asdict()))
