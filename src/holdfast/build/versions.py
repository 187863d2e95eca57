"""DVC's versions of the stages' files, in this process: what changed since the last build, recording, restoring.

`dvc status`, `dvc commit` and `dvc checkout` do the same for a whole project, and read and write all of it each time.
Here one stage is one call, so that a build of a thousand stages does not cost an hour of DVC. The hashes, their
database, the cache, the run cache and the format of dvc.lock are DVC's own.
"""

import contextlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from holdfast.build.dvc_lock import DvcLock, Entry
from holdfast.build.parameters import load_once, params_change, params_of, read_yaml
from holdfast.build.stages import load_stages, only_outputs_changed
from holdfast.common import section
from holdfast.common.errors import UserError

Changes = list[Any]  # of one stage, as `dvc status --json` has them


class Versions:
    """The project's stages, what dvc.lock records of them, and the hashes of their files."""

    def __init__(self) -> None:
        """Raises UserError when this is no DVC project, or dvc.lock cannot be read."""
        from dvc.exceptions import DvcException
        from dvc.repo import Repo
        from dvc.utils import serialize

        serialize.LOADERS[".yaml"] = load_once
        try:
            self.repo = Repo(_wait_for_lock=True)
        except DvcException as error:
            raise UserError(f"DVC: {error}; run this in the project's root folder") from error
        for package in ("dvc", "dvc_data", "dvc_objects"):  # errors are exceptions here; no progress bars either
            logging.getLogger(package).setLevel(logging.CRITICAL)
        self.stages = load_stages()
        self.lock = DvcLock()
        self.cache_folder: str = self.repo.cache.legacy.path

    @property
    def cache(self) -> Any:
        return self.repo.cache.local

    def hash(self, path: str) -> str | None:
        """MD5 of a file, or of a folder's listing as DVC makes it; None when there is no such file.

        A file whose size, time stamp and inode are those of an earlier call is not read again.
        """
        from dvc_data.hashfile.build import build

        if not os.path.exists(path):
            return None
        _, _, found = build(
            self.cache, os.path.abspath(path), self.repo.fs, "md5", ignore=self.repo.dvcignore, dry_run=True
        )
        return found.hash_info.value

    def in_cache(self, md5: str) -> bool:
        """Whether DVC's cache has the file, or the folder with all its files."""
        if not os.path.exists(self.cache.oid_to_path(md5)):
            return False
        return not md5.endswith(".dir") or all(map(self.in_cache, self._files(md5)))

    def _files(self, md5: str) -> list[str]:
        from dvc_data.hashfile.hash_info import HashInfo
        from dvc_data.hashfile.tree import Tree

        return [inner.value for _, _, inner in Tree.load(self.cache, HashInfo("md5", md5)) if inner.value]

    def status(self, names: Iterable[str] | None = None) -> dict[str, Changes]:
        """What differs from dvc.lock, by stage, as `dvc status --json` has it; a stage that is up to date is not there.

        One difference: an output that is as recorded is not listed, even if the cache has lost it.
        """
        values: dict[str, Any] = {section.PARAMS_FILE: section.load()}
        seen: dict[str, str | None] = {}

        def current(path: str) -> str | None:
            if path not in seen:
                seen[path] = self.hash(path)
            return seen[path]

        found = {}
        for name in self.stages if names is None else names:
            stage, entry = self.stages[name], self.lock.entries.get(name, {})
            deps: dict[str, Any] = dict(_file_changes(stage["deps"], entry.get("deps"), current))
            for path, keys in params_of(stage).items():
                if path not in values:
                    values[path] = read_yaml(path)
                if changed := params_change(keys, entry.get("params", {}).get(path), values[path]):
                    deps[path] = changed
            outs = dict(_file_changes(stage["outs"], entry.get("outs"), current))
            changes = [{"changed deps": deps}] if deps else []
            changes += [{"changed outs": outs}] if outs else []
            if (changed_cmd := entry.get("cmd") != stage["cmd"]) and entry:
                changes.append("changed command")  # type: ignore[arg-type]
            if changes or changed_cmd:
                found[name] = changes
        return found

    def stage(self, name: str) -> Any:
        """The stage as an object of DVC's, with the hashes that dvc.lock has."""
        from dvc.dvcfile import ProjectFile
        from dvc.stage.loader import StageLoader

        file = ProjectFile(self.repo, os.path.abspath("dvc.yaml"))
        return StageLoader.load_stage(file, name, dict(self.stages[name]), self.lock.entries.get(name))

    def record(self, name: str, params: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        """Put the stage's outputs into the cache and its hashes into dvc.lock, for a job that has ended well.

        `params`: the values that the job ran with, by file and key; those in the files now if None.
        Raises UserError when the cache or dvc.lock cannot be written.
        """
        from dvc.stage.serialize import to_single_stage_lockfile

        with self._dvc(f"cannot record the outputs of {name}"):
            stage = self.stage(name)
            stage.save_deps()
            if params is not None:
                for dep in stage.params:
                    dep.fill_values(dict(params[dep.def_path]))
            for out in stage.outs:
                out.save()
                out.commit()
            entry = _plain(to_single_stage_lockfile(stage))
            self.repo.stage_cache.save(stage)
            self.lock.put(name, entry)

    def earlier(self, name: str) -> Entry | None:
        """The entry of an earlier build with the same command, parameters and inputs, whose outputs the cache has."""
        changes = self.status([name]).get(name, [])
        recorded = self.lock.entries.get(name)
        if recorded and (not changes or only_outputs_changed(changes)):
            found: Entry | None = recorded
        elif not all(os.path.exists(dep) for dep in self.stages[name]["deps"]):
            return None
        else:
            with self._dvc(f"cannot look for earlier outputs of {name}"):
                stage = self.stage(name)
                stage.save_deps()
                found = self.repo.stage_cache._load(stage)
        if not found or {out["path"] for out in found["outs"]} != set(self.stages[name]["outs"]):
            return None
        return _plain(found) if all(self.in_cache(out["md5"]) for out in found["outs"]) else None

    def restore(self, name: str, entry: Entry | None = None, only: Iterable[str] | None = None) -> None:
        """Put the outputs of `entry` in place, by default those that dvc.lock has; of these `only` some.

        Raises UserError when the cache does not have them.
        """
        from dvc.stage.loader import StageLoader

        with self._dvc(f"cannot restore the outputs of {name}"):
            stage = self.stage(name)
            StageLoader.fill_from_lock(stage, entry or self.lock.entries.get(name))
            for out in stage.outs:
                if only is None or out.def_path in only:
                    out.checkout(force=True)

    def fill_cache(self, fresh: Iterable[str]) -> None:
        """Put outputs of stages that are up to date into the cache again, if it has lost them."""
        for name in fresh:
            if not all(self.in_cache(out["md5"]) for out in self.lock.entries[name]["outs"]):
                self.record(name)

    @contextlib.contextmanager
    def _dvc(self, what: str) -> Iterator[None]:
        """Inside, DVC's lock is held, and its errors and the file system's are a UserError that begins with `what`."""
        from dvc.dependency.param import MissingParamsError
        from dvc.exceptions import DvcException
        from dvc_objects.errors import ObjectDBError

        try:
            with self.repo.lock:
                yield
        except MissingParamsError as error:  # they were there when the build began
            raise UserError(
                f"{what}: {error} Put them back, or run the same command again to build without them"
            ) from error
        except (DvcException, ObjectDBError, OSError) as error:
            raise UserError(f"{what}: {error}") from error


def _file_changes(
    paths: Iterable[str], recorded: list[dict[str, Any]] | None, current: Callable[[str], str | None]
) -> Iterator[tuple[str, str]]:
    hashes = {entry["path"]: entry.get("md5") for entry in recorded or ()}
    for path in paths:
        now = current(path)
        if now is None:
            yield path, "deleted"
        elif hashes.get(path) is None:
            yield path, "new"
        elif now != hashes[path]:
            yield path, "modified"


def _plain(value: Any) -> Any:
    """The same in plain dicts and lists."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
