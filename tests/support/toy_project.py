"""The toy chain as a project of its own in a temporary folder, with the real machinery around it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent  # snakemake and dvc are in the environment that runs the tests


class Project:
    """A checkout of the toy chain. Commands run as a user's would, with the engines' own command lines."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.outside = folder.parent / f"{folder.name}-outside"  # where steps leave traces and look for accidents
        self.outside.mkdir(exist_ok=True)
        self.prefix: list[str] = []  # before every command

    def run(
        self, *command: str, check: bool = True, timeout_s: float = 600, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*self.prefix, *command],
            cwd=self.folder,
            env=self.environment() | environment,
            text=True,
            capture_output=True,
            timeout=timeout_s,
        )
        assert not check or done.returncode == 0, f"{command} in {self.folder}\n{done.stdout}\n{done.stderr}"
        return done

    def environment(self) -> dict[str, str]:
        mine = {
            key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "HOLDFAST_I", "PYTEST_"))
        }
        mine |= {"PATH": f"{BIN}:{mine['PATH']}", "PYTHONPATH": "src", "TOY_FOLDER": str(self.outside)}
        mine["SHELL"] = "/bin/sh"  # DVC's, often one that does not become its last command as bash does
        return mine | {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}

    def snakemake(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return self.run("snakemake", *words, **options)

    def dvc(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return self.run("dvc", *words, **options)

    def git(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return self.run("git", *words, **options)

    def commit(self) -> str:
        """Commit everything; the commit's hash."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "a state")
        return self.git("rev-parse", "HEAD").stdout.strip()

    def stale_for_snakemake(self) -> set[str]:
        """The stages that `snakemake -n` would run."""
        said = self.snakemake("--dry-run", "--printshellcmds").stdout
        found = {line.split()[4] for line in said.splitlines() if line.startswith("Shell command: exec envs/job ")}
        assert found or "Nothing to be done" in said, said
        return found

    def stale_for_dvc(self) -> set[str]:
        """The stages that `dvc status` lists."""
        return set(json.loads(self.dvc("status", "--json").stdout))

    def ran(self) -> list[str]:
        """The steps that ran since the last call."""
        trace = self.outside / "ran"
        steps = trace.read_text().split() if trace.exists() else []
        trace.unlink(missing_ok=True)
        return sorted(steps)

    def params(self) -> dict[str, Any]:
        return yaml.safe_load((self.folder / "params.yaml").read_text())

    def set_params(self, params: dict[str, Any]) -> None:
        (self.folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def make(folder: Path, link: str = "copy") -> Project:
    """A new toy project in `folder`, committed to Git, whose DVC links its outputs by `link`."""
    unwanted = shutil.ignore_patterns("__pycache__", "*.part", ".*.txt.*")
    folder.mkdir(parents=True)
    for name in ("envs", "profiles", "src"):
        shutil.copytree(ROOT / name, folder / name, ignore=unwanted)
    for name in (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore", "rules/common.smk"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "tests" / "toy", folder, dirs_exist_ok=True, ignore=unwanted)
    project = Project(folder)
    project.git("init", "--quiet", "--initial-branch", "main")
    project.git("config", "user.name", "toy")
    project.git("config", "user.email", "toy@localhost")
    project.dvc("config", "cache.type", link)
    project.commit()
    return project


def clone(project: Project, folder: Path) -> Project:
    """A fresh Git clone, with nothing of DVC's cache."""
    project.git("clone", "--quiet", str(project.folder), str(folder))
    twin = Project(folder)
    twin.git("config", "user.name", "toy")
    twin.git("config", "user.email", "toy@localhost")
    return twin
