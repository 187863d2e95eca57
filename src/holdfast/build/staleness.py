"""What is stale, by DVC's content hashes, told to Snakemake in its own terms: time stamps.

Every rule has a stamp file among its inputs. Before Snakemake builds its graph, the stamp of a stale stage becomes the
newest file of all and that of a fresh stage the oldest; the other files are put into the order in which a build would
have made them. So Snakemake's own comparison (`rerun-triggers: [mtime]`) finds exactly the stale jobs.
"""

import contextlib
import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from holdfast.build import dvc_file
from holdfast.build import stages as dvc_stages
from holdfast.build.jobs import LISTING
from holdfast.build.lock import check_no_build
from holdfast.build.stages import Stage, downstream, in_order, load_stages, only_outputs_changed
from holdfast.common import section
from holdfast.common.errors import UserError

FRESH_NS = 10**18  # September 2001: older than any output
FOLDER_STAMP = ".snakemake_timestamp"  # Snakemake takes a folder's time from this file in it


def prepare(config: Mapping[str, Any]) -> None:
    """Make Snakemake see what is stale. Called once, before the rules are read; `config` is Snakemake's params.yaml.

    Regenerates dvc.yaml when the rules or parameters changed, and puts deleted outputs back from DVC's cache.
    Raises UserError when params.yaml is invalid or `config` differs from it.
    """
    if LISTING in os.environ:
        return
    if dict(config) != section.load():
        raise UserError(
            "--config and --configfile would bypass params.yaml, which DVC reads too: edit params.yaml,"
            " or try a value with `dvc exp run -S key=value`"
        )
    jobs, changes = look()
    if dvc_file.WORKFLOW in changes:  # dvc.yaml has just been checked
        run_dvc("commit", "--force", "--quiet", dvc_file.WORKFLOW)
    now = time.time_ns()
    put_in_order(jobs, now)
    set_stamps(jobs, stale=set(changes), newest=now + 10**6)  # equal times would not count as newer
    unprotect(jobs[name]["outs"] for name in downstream(jobs, changes))


def look() -> tuple[dict[str, Stage], dict[str, list[Any]]]:
    """The stages that are jobs, and what DVC finds changed, after dvc.yaml and deleted outputs are restored.

    Raises UserError when params.yaml or the rules are at fault, or while a build runs.
    """
    remove_dangling()
    if not dvc_file.current():
        dvc_file.refresh()
    stages = load_stages()
    del stages[dvc_file.WORKFLOW]
    return stages, restore_deleted(stages, dvc_status())


def remove_dangling() -> None:
    """Remove links to nothing among the outputs, on which both engines stop (`stages.remove_dangling`)."""
    # a dvc.yaml that cannot be read is about to be regenerated
    with contextlib.suppress(OSError, yaml.YAMLError, KeyError, TypeError):
        for stage in load_stages().values():
            dvc_stages.remove_dangling(stage.get("outs", ()))


def run_dvc(*words: str) -> str:
    """DVC's standard output. Raises UserError with its messages when it fails."""
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", *words]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise UserError(f"dvc {' '.join(words)} failed:\n{done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def dvc_status() -> dict[str, list[Any]]:
    """What DVC finds changed, by stage; a stage that is up to date is not there.

    Raises UserError while a build runs: what it is about to write is neither stale nor fresh.
    """
    check_no_build()
    return json.loads(run_dvc("status", "--json"))


def restore_deleted(stages: Mapping[str, Stage], changes: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Put deleted outputs back where the cache has them and their stage is unchanged else; what is changed then."""
    deleted = [
        out
        for name, found in changes.items()
        if name in stages and only_outputs_changed(found)
        for change in found
        for out, state in change["changed outs"].items()
        if state == "deleted"
    ]
    if not deleted:
        return changes
    try:
        run_dvc("checkout", "--quiet", *deleted)
    except UserError:  # not in the cache: their stages are stale
        return changes
    return dvc_status()


def put_in_order(stages: Mapping[str, Stage], now: int) -> None:
    """Times such that no output is older than its stage's inputs and nothing is newer than `now` (ns).

    After a checkout or a pull, files carry whatever time they got. Only what is out of order is touched, because
    DVC takes a file with a new time stamp for a changed one until it has hashed it again.
    """
    for name in in_order(stages):
        oldest = 0
        for dep in filter(os.path.exists, stages[name]["deps"]):
            if time_ns(dep) > now:
                set_time(dep, now)
            oldest = max(oldest, time_ns(dep))
        for out in filter(os.path.exists, stages[name]["outs"]):
            if not oldest <= time_ns(out, follow=False) <= now:
                set_time(out, oldest)
    for path in Path("benchmarks").rglob("*.tsv"):  # Snakemake counts them as outputs; DVC does not write them
        os.utime(path, ns=(now, now))


def time_ns(path: str, follow: bool = True) -> int:
    """Modification time as Snakemake sees it: of an input the newer of link and target, of an output the link's."""
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode) and follow:
        return max(found.st_mtime_ns, os.stat(path).st_mtime_ns)
    if stat.S_ISDIR(found.st_mode) and os.path.exists(inside := os.path.join(path, FOLDER_STAMP)):
        return os.stat(inside).st_mtime_ns
    return found.st_mtime_ns


def set_time(path: str, at: int) -> None:
    """Set the modification time (ns) where Snakemake looks for it. Raises UserError when the file is another user's."""
    if os.path.isdir(path) and not os.path.islink(path):
        path = os.path.join(path, FOLDER_STAMP)
        Path(path).touch()
    try:
        os.utime(path, ns=(at, at), follow_symlinks=False)
    except PermissionError as error:
        raise UserError(
            f"{path}: cannot set its time ({error.strerror}); change its owner, or use `dvc config cache.type symlink`"
        ) from error


def set_stamps(stages: Iterable[str], stale: set[str], newest: int) -> None:
    """Stamps of stale stages at `newest` (ns), the others very old; those of stages that are gone are removed."""
    dvc_file.STAMPS.mkdir(parents=True, exist_ok=True)
    wanted = set(stages)
    for path in dvc_file.STAMPS.iterdir():
        if path.name not in wanted:
            path.unlink()
    for name in wanted:
        path = dvc_file.STAMPS / name
        path.touch()
        os.utime(path, ns=(newest, newest) if name in stale else (FRESH_NS, FRESH_NS))


def unprotect(outputs: Iterable[Iterable[str]]) -> None:
    """Make stale outputs writable: Snakemake refuses to replace a read-only file, and DVC's hard links are read-only.

    DVC hashes a writable cache file again before it trusts it, so nothing is lost by this.
    """
    for path in (Path(out) for outs in outputs for out in outs):
        if path.is_file() and not path.is_symlink() and not os.access(path, os.W_OK):
            path.chmod(path.stat().st_mode | stat.S_IWUSR)
