"""No sequence of edits, checkouts, accidents and builds parts the two engines from each other or from the truth."""

import os
from pathlib import Path

import pytest

import toy_project
from walk import Walk

pytestmark = pytest.mark.workflow
STEPS = int(os.environ.get("HOLDFAST_WALK", "0"))  # HOLDFAST_WALK=60 walks far, over every link type


@pytest.mark.parametrize("link", ["copy", "hardlink", "symlink"] if STEPS else ["hardlink"])
def test_walk(tmp_path: Path, link: str) -> None:
    seed = int(os.environ.get("HOLDFAST_WALK_SEED", "1"))
    project = toy_project.make(tmp_path / "start", link)
    project.dvc("remote", "add", "--default", "store", str(tmp_path / "remote"))
    walk = Walk(project, seed, tmp_path / "remote")
    try:
        for _ in range(STEPS or 15):
            walk.step()
    except BaseException:
        print(f"seed {seed}, {link}:", *walk.log, sep="\n  ")
        raise
    assert len(walk.commits) == 1 + (STEPS or 15), "every operation ends in a build that both engines call fresh"
    print(f"{len(walk.log)} entries, {walk.overcalled} stages called stale below altered outputs")
