"""Fixtures that several test files share."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

import toy_project
from toy_project import Project

settings.register_profile("untimed", deadline=None)  # a busy machine is no fault
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The toy chain, built by Snakemake and committed. Not to be changed."""
    project = toy_project.make(tmp_path_factory.mktemp("built") / "toy")
    project.snakemake()
    project.commit()
    return project


@pytest.fixture
def toy(built_once: Project, tmp_path: Path) -> Project:
    """A copy of the built toy chain, to do with as one likes."""
    shutil.copytree(built_once.folder, tmp_path / "toy", symlinks=True)
    return Project(tmp_path / "toy")


@pytest.fixture
def toys(built_once: Project, tmp_path: Path) -> Callable[[str], Project]:
    """Any number of such copies, by name."""

    def copy(name: str) -> Project:
        shutil.copytree(built_once.folder, tmp_path / name, symlinks=True)
        return Project(tmp_path / name)

    return copy
