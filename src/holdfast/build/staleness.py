"""What is stale, by DVC's content hashes, told to Snakemake in its own terms: time stamps.

Every rule has a stamp file among its inputs. Before Snakemake builds its graph, the stamp of a stale stage becomes the
newest file of all and that of a fresh stage the oldest; the other files are put into the order in which a build would
have made them. So Snakemake's own comparison (`rerun-triggers: [mtime]`) finds exactly the stale jobs.
"""

import contextlib
import json
import os
import stat
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from holdfast.build import dvc_file
from holdfast.build.job_files import FOLDER_STAMP
from holdfast.build.jobs import LISTING
from holdfast.build.ownership import check_no_build
from holdfast.build.recorder import adopt
from holdfast.build.stages import Stage, downstream, in_order, only_outputs_changed, remove_dangling
from holdfast.build.versions import Changes, Versions
from holdfast.common import section
from holdfast.common.errors import UserError
from holdfast.inference.recorded import CACHE

FRESH_NS = 10**18  # September 2001: older than any output


def prepare(config: Mapping[str, Any]) -> Versions | None:
    """Make Snakemake see what is stale. Called once, before the rules are read; `config` is Snakemake's params.yaml.

    Regenerates dvc.yaml when the rules or parameters changed, and puts deleted outputs back from DVC's cache. None
    while Snakemake only lists its jobs. Raises UserError when params.yaml is invalid or `config` differs from it.
    """
    if LISTING in os.environ:
        return None
    if dict(config) != section.load():
        raise UserError(
            "--config and --configfile would bypass params.yaml, which DVC reads too: edit params.yaml,"
            " or try a value with `dvc exp run -S key=value`"
        )
    versions, changes = look()
    jobs = versions.stages
    now = time.time_ns()
    put_in_order(jobs, now)
    set_stamps(jobs, stale=set(changes), newest=now + 10**6)  # equal times would not count as newer
    unprotect(jobs[name]["outs"] for name in downstream(jobs, changes))
    os.environ[CACHE] = versions.cache_folder
    return versions


def look() -> tuple[Versions, dict[str, Changes]]:
    """The jobs' versions and what changed since they were recorded, after dvc.yaml and deleted outputs are restored.

    Raises UserError when params.yaml or the rules are at fault, or while a build runs: what it is about to write is
    neither stale nor fresh.
    """
    check_no_build()
    mend_rwlock()
    if not dvc_file.current():
        dvc_file.refresh()
    versions = Versions()
    for stage in versions.stages.values():
        remove_dangling(stage["outs"])
    if versions.status([dvc_file.WORKFLOW]):
        versions.record(dvc_file.WORKFLOW)  # dvc.yaml has just been checked
    adopt(versions)
    changes = versions.status()
    deleted = {
        name: [out for change in found for out, how in change["changed outs"].items() if how == "deleted"]
        for name, found in changes.items()
        if only_outputs_changed(found)
    }
    for name, outs in deleted.items():
        if outs:
            with contextlib.suppress(UserError):  # not in the cache: the stage is stale
                versions.restore(name, only=outs)
    if any(deleted.values()):
        changes = versions.status()
    versions.fill_cache(name for name in versions.stages if name not in changes)
    del versions.stages[dvc_file.WORKFLOW]  # no job
    return versions, changes


def mend_rwlock() -> None:
    """Remove DVC's list of who uses which file when a killed DVC left it torn: every DVC command would stop there.

    No build runs, so what it says of jobs is void; DVC itself leaves out processes that have ended.
    """
    path = Path(".dvc/tmp/rwlock")
    for _ in range(2):  # a running DVC command may be writing it
        try:
            json.loads(path.read_text(encoding="utf-8"))
            return
        except FileNotFoundError:
            return
        except ValueError:
            time.sleep(0.5)
    path.unlink(missing_ok=True)


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
