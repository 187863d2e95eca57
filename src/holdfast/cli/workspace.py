"""Workspaces in `.holdfast`: folders in which steps run beside the checkout, on its files, journal and DVC cache."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from holdfast.build.owner import Owner
from holdfast.build.ownership import BUILD_LOCK
from holdfast.build.versions import Versions
from holdfast.common import section
from holdfast.common.errors import UserError
from holdfast.common.files import write_text
from holdfast.common.locks import open_lock, try_lock
from holdfast.common.processes import end_with_parent

JOURNAL, FINGERPRINTS = Path(".holdfast/journal"), Path(".holdfast/fingerprints.json")
CODE = ("src", "rules", "envs", "profiles", "Snakefile", ".dvcignore")  # copied into a checkout of its own
RECORDS = ("params.yaml", "dvc.yaml", "dvc.lock")


def write_params(values: dict[str, Any], folder: Path) -> None:
    """The workspace's own params.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), str(folder / section.PARAMS_FILE))


def link_all(paths: Iterable[str], folder: Path) -> None:
    """Link files and folders of the checkout, and its journal, at the same places in the workspace."""
    JOURNAL.mkdir(parents=True, exist_ok=True)
    for path in [*sorted(paths), str(JOURNAL)]:
        link(path, folder)


def link(path: str, folder: Path) -> None:
    """Link a file or folder of the checkout at the same place in the workspace.

    Raises UserError for one outside the project.
    """
    target = folder / path
    if os.path.isabs(path) or not os.path.lexists(path):
        return
    if not os.path.normpath(target).startswith(f"{folder}{os.sep}"):
        raise UserError(f"{path}: {folder} cannot have files outside the project; use an absolute path in params.yaml")
    if any(parent.is_symlink() for parent in target.parents if folder in parent.parents):
        return  # inside a folder that is linked as a whole
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink():
        target.unlink()
    target.symlink_to(os.path.abspath(path))


def copy_fingerprints(source: Path, target: Path) -> None:
    """Copy the hashes of the models' files, which take minutes for a large model, and which no link can share."""
    if (source / FINGERPRINTS).exists():
        shutil.copyfile(source / FINGERPRINTS, target / FINGERPRINTS)


def check_out(folder: Path, versions: Versions, files: Iterable[str], built: Iterable[str]) -> None:
    """Make `folder` a checkout of its own that shares the project's DVC cache: what is built there is known here.

    It gets a copy of the code, dvc.yaml and dvc.lock, links to `files` (those that no stage makes), the outputs of the
    stages `built`, and the project's params.yaml. Outputs are links into the cache: models take no room twice.
    """
    for name in CODE:
        copy = folder / name
        if copy.is_dir():
            shutil.rmtree(copy)
        if os.path.isdir(name):
            shutil.copytree(name, copy, ignore=shutil.ignore_patterns("__pycache__"))
        elif os.path.exists(name):
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy2(name, copy)
    (folder / ".dvc").mkdir(exist_ok=True)
    _configure_dvc(folder / ".dvc", versions)
    for name in filter(os.path.exists, RECORDS):
        shutil.copyfile(name, folder / name)
    (folder / JOURNAL).parent.mkdir(exist_ok=True)
    link_all((path for path in files if Path(path).parts[0] not in CODE), folder)
    copy_fingerprints(Path(), folder)
    # what the cache has lost is built anew, so a failure does not matter
    checkout = [sys.executable, "-m", "dvc", "checkout", "--quiet", "--force", *built]
    subprocess.run(checkout, cwd=folder, capture_output=True, preexec_fn=end_with_parent)


def _configure_dvc(at: Path, versions: Versions) -> None:
    """DVC without Git, and with the cache of `versions`."""
    from dvc.config import Config

    cache = {"dir": versions.cache_folder, "type": ["reflink", "symlink"]}
    if shared := versions.repo.config["cache"].get("shared"):
        cache["shared"] = shared
    with Config(str(at), validate=False).edit("repo", validate=False) as config:
        config["core"] = {"no_scm": True, "analytics": False, "check_update": False}
        config["cache"] = cache


def build(targets: Iterable[str], folder: Path, *options: str) -> int:
    """Have Snakemake build the targets in `folder`; its exit status. It ends with this process.

    Raises SystemExit(130) on Ctrl-C, once Snakemake has ended.
    """
    _wait_for_the_last_one(folder)
    source = os.path.abspath(folder / "src")  # `holdfast` finds its code without PYTHONPATH; Snakemake would not
    path = os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "snakemake", *options, "--", *targets]
    environment = os.environ | {"PYTHONPATH": path}
    process = subprocess.Popen(command, cwd=folder, env=environment, preexec_fn=end_with_parent)
    try:
        return process.wait()
    except KeyboardInterrupt:  # the terminal has sent it to Snakemake too
        process.wait()
        raise SystemExit(130) from None


def _wait_for_the_last_one(folder: Path) -> None:
    """Wait until no build runs there: one whose parent was killed takes a moment to stop its jobs."""
    (folder / BUILD_LOCK).parent.mkdir(exist_ok=True)
    with suppress(OSError), open_lock(folder / BUILD_LOCK) as file:  # without locks Snakemake looks for other signs
        if not try_lock(file):
            print(f"waiting until another build in {folder} ends: {Owner.read(file.read())} …", flush=True)
            while not try_lock(file):
                time.sleep(0.2)
