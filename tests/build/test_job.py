"""Jobs: one build at a time, nothing lost when they run side by side, failures that explain themselves."""

import subprocess
import time

import pytest
import yaml

from toy_project import Project

pytestmark = pytest.mark.workflow
BUILDS = {"snakemake": ["snakemake"], "dvc": ["dvc", "repro"]}


def wait_for(condition: object, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.05)


def start_hanging(project: Project, command: list[str]) -> "subprocess.Popen[bytes]":
    """Start a build that stops in the first step that it runs, until that step's accident is taken away."""
    (project.outside / "hang-reconstruct").touch()
    path = project.folder / "params.yaml"
    path.write_text(path.read_text().replace("random_seed: 0", "random_seed: 5"))
    project.ran()
    build = subprocess.Popen(
        command, cwd=project.folder, env=project.environment(), stdout=subprocess.DEVNULL, start_new_session=True
    )
    wait_for(lambda: (project.outside / "ran").exists() or build.poll() is not None)
    assert build.poll() is None
    return build


@pytest.mark.parametrize("second", BUILDS)
@pytest.mark.parametrize("first", BUILDS)
def test_a_second_build_is_refused(toy: Project, first: str, second: str) -> None:
    if first == "dvc":
        toy.snakemake("--dry-run")  # renews dvc.yaml
    build = start_hanging(toy, BUILDS[first])
    try:
        done = toy.run(*BUILDS[second], check=False)
        said = done.stdout + done.stderr
        assert done.returncode != 0
        # DVC sees for itself that another DVC is at the same stage
        assert "another build runs in this checkout" in said or (second == "dvc" and "is busy" in said)
        assert "Traceback" not in said
        assert toy.ran() == ["reconstruct"]
    finally:
        build.kill()
        build.wait()
    wait_for(lambda: not subprocess.run(["pgrep", "-r", "DRST", "-s", str(build.pid)], capture_output=True).stdout)
    (toy.outside / "hang-reconstruct").unlink()
    toy.run(*BUILDS[second])  # nothing is in the way of the next build
    assert toy.stale_for_snakemake() == toy.stale_for_dvc() == set()


def test_jobs_side_by_side_all_reach_the_lock_file(toy: Project) -> None:
    params = toy.params()
    params["generate"]["models"] = {f"m{number}": {"temperature": 1.0} for number in range(6)}
    toy.set_params(params)
    toy.snakemake("--cores", "6", "--", *[f"data/generate/m{number}.txt" for number in range(6)])
    stages = yaml.safe_load((toy.folder / "dvc.lock").read_text())["stages"]
    assert {f"generate-m{number}" for number in range(6)} <= set(stages)
    assert not any(name.startswith("generate-m") for name in toy.stale_for_dvc())


@pytest.mark.parametrize("engine", BUILDS)
def test_a_failed_job_shows_the_end_of_its_log(toy: Project, engine: str) -> None:
    path = toy.folder / "src/holdfast/toy/filter.py"
    path.write_text("print('said aloud')\nraise SystemExit('the fault is here')\n")
    toy.snakemake("--dry-run")
    done = toy.run(*BUILDS[engine], check=False)
    assert done.returncode != 0
    assert "filter failed (status 1); the end of logs/filter.log:\nthe fault is here" in done.stderr
    assert "said aloud" in (done.stdout if engine == "dvc" else done.stderr)
    assert (toy.folder / "logs/filter.log").read_text() == "the fault is here\n"
    assert "filter" in toy.stale_for_dvc()
    assert "filter" in toy.stale_for_snakemake()


def test_an_unknown_stage_is_named(toy: Project) -> None:
    done = toy.run("envs/job", "nothing", "--env", "core", "--log", "logs/x", "--", "true", check=False)
    assert done.returncode != 0
    assert "nothing" in done.stderr


def test_by_hand_a_job_is_one_stage_of_dvc(toy: Project) -> None:
    command = yaml.safe_load((toy.folder / "dvc.yaml").read_text())["stages"]["filter"]["cmd"]
    (toy.folder / "data/filter/selected.txt").unlink()
    params = toy.params()
    toy.set_params(params | {"filter": {"threshold": 0.7}})
    toy.ran()
    toy.run("sh", "-c", command)
    assert toy.ran() == ["filter"]
    assert "filter" not in toy.stale_for_dvc()
