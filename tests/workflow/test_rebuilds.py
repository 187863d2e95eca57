"""Only what is stale is built again, whichever engine builds."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import toy_project
from toy_project import Project
from walk import md5

pytestmark = pytest.mark.workflow
ENGINES = ["snakemake", "dvc repro"]


def build(project: Project, engine: str) -> list[str]:
    """Build; the steps that ran. `dvc repro` is run twice where it had to renew dvc.yaml first."""
    project.ran()
    done = project.run(*engine.split(), check=False)
    if engine == "dvc repro" and "has been regenerated" in done.stderr:
        done = project.run(*engine.split(), check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    ran = project.ran()
    assert project.stale_for_dvc() == set()
    assert project.stale_for_snakemake() == set()
    return ran


def edit(project: Project, name: str, old: str, new: str) -> None:
    path = project.folder / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


def identities(project: Project) -> dict[str, tuple[int, str | None]]:
    """Inode and hash of the generations, by file name."""
    return {path.name: (path.stat().st_ino, md5(path)) for path in (project.folder / "data/generate").glob("*.txt")}


@pytest.mark.parametrize("engine", ENGINES)
def test_one_models_temperature(toy: Project, engine: str) -> None:
    before = identities(toy)
    edit(toy, "params.yaml", "scholar: {temperature: 1.0}", "scholar: {temperature: 0.5}")
    assert toy.stale_for_dvc() == {"generate-scholar", "workflow"}
    assert build(toy, engine) == ["filter", "generate", "report", "train", "train"]
    after = identities(toy)
    assert after["base.txt"] == before["base.txt"]
    assert after["scholar.txt"][1] != before["scholar.txt"][1]


@pytest.mark.parametrize("engine", ENGINES)
def test_another_model(toy: Project, engine: str) -> None:
    before = identities(toy)
    edit(toy, "params.yaml", "    base: {", "    novice: {temperature: 2.0}\n    base: {")
    assert "workflow" in toy.stale_for_dvc()
    assert build(toy, engine) == ["filter", "generate", "report", "train", "train"]
    after = identities(toy)
    assert set(after) == {*before, "novice.txt"}
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize("engine", ENGINES)
def test_another_arm(toy: Project, engine: str) -> None:
    edit(toy, "params.yaml", "arms:\n", "arms:\n  half: {share: 0.25}\n")
    assert build(toy, engine) == ["report", "train"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_step_that_writes_the_same_bytes_stops_the_rebuild(toy: Project, engine: str) -> None:
    path = toy.folder / "src/holdfast/toy/filter.py"
    path.write_text(path.read_text() + "unused = 1\n")
    assert toy.stale_for_dvc() == {"workflow"}
    assert "generate-base" not in toy.stale_for_snakemake()
    assert build(toy, engine) == ["filter"]  # and no model is trained again
    edit(toy, "params.yaml", "shards: 2", "shards: 3")  # the generations change, what is selected does not
    assert build(toy, engine) == ["filter", "generate", "generate"]


@pytest.mark.parametrize("engine", ENGINES)
def test_going_back_costs_nothing(toy: Project, engine: str) -> None:
    edit(toy, "params.yaml", "threshold: 0.2", "threshold: 0.4")
    assert "filter" in build(toy, engine)
    edit(toy, "params.yaml", "threshold: 0.4", "threshold: 0.2")
    assert build(toy, engine) == []  # all of it is in the run cache


def test_each_engine_accepts_what_the_other_built(toys: Callable[[str], Project]) -> None:
    for first, second in (ENGINES, ENGINES[::-1]):
        toy = toys(first.split()[0])
        edit(toy, "params.yaml", "random_seed: 0", "random_seed: 1")
        assert len(build(toy, first)) == 7
        assert build(toy, second) == []


def test_a_deleted_output_comes_back_from_the_cache(toy: Project) -> None:
    (toy.folder / "data/reconstruct/instructions.txt").unlink()
    assert toy.stale_for_dvc() == {"reconstruct", "generate-base", "generate-scholar"}
    assert build(toy, "snakemake") == []
    (toy.folder / "models/plain/weights.txt").unlink()
    assert build(toy, "dvc repro") == []


def test_a_command_line_cannot_bypass_params_yaml(toy: Project, tmp_path: Path) -> None:
    done = toy.snakemake("--dry-run", "--config", "random_seed=7", check=False)
    assert done.returncode != 0
    assert "bypass params.yaml" in done.stdout  # where a dry run says everything
    (tmp_path / "mine.yaml").write_text("random_seed: 7\n")
    assert toy.snakemake("--dry-run", "--configfile", str(tmp_path / "mine.yaml"), check=False).returncode != 0
    assert toy.snakemake("--dry-run", "--config", "random_seed=0").returncode == 0  # says the same


@pytest.mark.skipif(os.getuid() == 0 and not shutil.which("setpriv"), reason="root may write everything here")
def test_read_only_links_are_not_in_the_way(tmp_path: Path) -> None:
    """DVC's hard links are read-only, and Snakemake refuses to replace a read-only file."""
    project = toy_project.make(tmp_path / "toy", "hardlink")
    if os.getuid() == 0:
        project.prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]
    project.snakemake()
    assert (project.folder / "data/generate/base.txt").stat().st_mode & 0o777 == 0o444
    edit(project, "params.yaml", "shards: 2", "shards: 3")
    assert "generate" in build(project, "snakemake")
    edit(project, "params.yaml", "shards: 3", "shards: 2")
    assert build(project, "snakemake") == []
    assert (project.folder / "data/generate/base.txt").stat().st_mode & 0o777 == 0o444


def test_a_checkout_of_what_the_cache_lacks_is_built_anew(tmp_path: Path) -> None:
    """With symbolic links DVC then leaves links to nothing, on which its own status stops."""
    project = toy_project.make(tmp_path / "toy", "symlink")
    project.snakemake()
    chosen = project.folder / "data/filter/selected.txt"
    text = chosen.read_text()
    chosen.resolve().unlink()
    assert chosen.is_symlink()
    assert not chosen.exists()
    edit(project, "params.yaml", "random_seed: 0", "random_seed:  0")  # the graph is listed anew, too
    assert "filter" in project.stale_for_snakemake()
    project.ran()
    project.snakemake()
    assert project.ran() == ["filter"]
    assert chosen.read_text() == text
    assert project.stale_for_dvc() == set()


def test_an_experiment(toy: Project) -> None:
    done = toy.dvc("exp", "run", "--name", "warm", "-S", "generate.models.base.temperature=1.5")
    assert "warm" in done.stdout
    assert toy.ran() == ["filter", "generate", "report", "train", "train"]
    assert toy.stale_for_snakemake() == set()
    assert "temperature" in toy.dvc("params", "diff").stdout
