"""Each job is recorded when it has ended well, with what it read, and no other."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from holdfast.build import job_files, ownership
from toy_project import Project

pytestmark = pytest.mark.workflow


def start_hanging(toy: Project, step: str) -> "subprocess.Popen[bytes]":
    """A build whose job of this step runs until its accident is taken away."""
    (toy.outside / f"hang-{step}").touch()
    toy.ran()
    build = subprocess.Popen(["snakemake"], cwd=toy.folder, env=toy.environment(), start_new_session=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
    deadline = time.monotonic() + 120
    while not (toy.outside / "ran").exists() or step not in (toy.outside / "ran").read_text():
        assert build.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return build


def let_go_on(toy: Project, step: str, build: "subprocess.Popen[bytes]") -> tuple[int, str]:
    """Let the hanging step end; the build's status and output."""
    (toy.outside / f"hang-{step}").unlink()
    output, _ = build.communicate(timeout=300)
    return build.returncode, output.decode()


def threshold(toy: Project, value: float) -> None:
    toy.set_params(toy.params() | {"filter": {"threshold": value}})


def recorded(toy: Project, stage: str) -> dict:
    return yaml.safe_load((toy.folder / "dvc.lock").read_text())["stages"][stage]


def test_parameters_edited_while_a_job_runs_are_not_its_own(toy: Project) -> None:
    threshold(toy, 0.3)
    build = start_hanging(toy, "filter")
    time.sleep(0.5)
    threshold(toy, 0.9)
    status, output = let_go_on(toy, "filter", build)
    assert status == 0, output
    assert recorded(toy, "filter")["params"]["params.yaml"]["filter"] == {"threshold": 0.3}
    assert "filter" in toy.stale_for_dvc()
    assert "filter" in toy.stale_for_snakemake()


def test_a_parameter_taken_out_before_its_job_starts_is_named(toy: Project) -> None:
    toy.set_params(
        toy.params() | {"filter": {"threshold": 0.5}, "arms": toy.params()["arms"] | {"late": {"share": 0.7}}}
    )
    build = start_hanging(toy, "filter")
    toy.set_params({**toy.params(), "arms": {"plain": {"share": 1.0}, "mixed": {"share": 0.5}}})
    status, output = let_go_on(toy, "filter", build)
    assert status != 0
    assert "'arms.late' are missing from 'params.yaml'. Put them back, or run the same command again" in output
    assert "Traceback" not in output
    toy.snakemake()
    assert toy.stale_for_dvc() == set()


def test_an_input_edited_while_a_job_runs_is_refused(toy: Project) -> None:
    prompts = toy.folder / "data/seed/prompts.txt"
    toy.set_params(toy.params() | {"random_seed": 3})
    before = recorded(toy, "reconstruct")
    build = start_hanging(toy, "reconstruct")
    prompts.write_text(prompts.read_text() + "one more\n")
    status, output = let_go_on(toy, "reconstruct", build)
    assert status != 0
    assert "reconstruct: data/seed/prompts.txt changed while it ran; its outputs are not recorded" in output
    assert "Traceback" not in output
    assert recorded(toy, "reconstruct") == before
    toy.snakemake()
    assert toy.stale_for_dvc() == set()


def test_a_job_that_outlives_its_build_is_taken_over(toy: Project) -> None:
    """As on a cluster, where a job does not end with Snakemake's main process."""
    threshold(toy, 0.4)
    build = start_hanging(toy, "filter")
    order, owner = (
        (toy.folder / ".holdfast/orders/filter").read_bytes(),
        (toy.folder / ".holdfast/build.lock").read_bytes(),
    )
    os.killpg(build.pid, signal.SIGKILL)
    build.communicate()
    (toy.outside / "hang-filter").unlink()
    shutil.rmtree(toy.folder / ".holdfast/jobs")
    (toy.folder / ".holdfast/orders/filter").write_bytes(order)
    (toy.folder / ".holdfast/build.lock").write_bytes(owner)
    command = yaml.safe_load((toy.folder / "dvc.yaml").read_text())["stages"]["filter"]["cmd"]
    toy.ran()
    toy.run("sh", "-c", command, HOLDFAST_BUILD=ownership.Owner.read(owner).build)
    assert toy.ran() == ["filter"]
    assert (toy.folder / job_files.RESULTS / "filter").exists()
    assert "filter" not in toy.stale_for_snakemake()
    assert "filter" not in toy.stale_for_dvc()
    toy.snakemake()
    assert "filter" not in toy.ran()


@pytest.mark.parametrize("fault", ["output", "input", "command"])
def test_a_result_that_was_tampered_with_is_not_taken_over(toy: Project, fault: str) -> None:
    stage = yaml.safe_load((toy.folder / "dvc.yaml").read_text())["stages"]["filter"]
    words = stage["cmd"].split()[2:] + (["--more"] if fault == "command" else [])
    folder = Path.cwd()
    os.chdir(toy.folder)
    try:
        order = job_files.Order(
            "b",
            words,
            job_files.states(stage["deps"]),
            job_files.read_params(["params.yaml", "data/workflow/code.yaml"]),
            stage["outs"],
            None,
        )
        digests = {path: job_files.digest(text) for path, text in order.params.items()}
        Path(stage["outs"][0]).write_text("anew\n")
        job_files.write_result("filter", job_files.Result(order, digests, job_files.states(stage["outs"])))
        if fault != "command":
            changed = Path(stage["outs" if fault == "output" else "deps"][0])
            changed.write_text(changed.read_text() + "\n")
    finally:
        os.chdir(folder)
    before = recorded(toy, "filter")
    toy.snakemake("--dry-run")
    assert recorded(toy, "filter") == before
    assert not (toy.folder / job_files.RESULTS / "filter").exists()


@pytest.mark.parametrize(
    "words", [["--quiet"], ["--quiet", "all", "--"], ["--quiet", "progress", "--"], ["--verbose"], []]
)
def test_every_job_is_recorded_however_much_is_shown(toy: Project, words: list[str]) -> None:
    threshold(toy, 0.6)
    toy.snakemake(*words)
    assert toy.stale_for_dvc() == set()


def test_touching_records_nothing(toy: Project) -> None:
    threshold(toy, 0.6)
    before = recorded(toy, "filter")
    toy.snakemake("--touch", check=False)
    assert recorded(toy, "filter") == before
    assert "filter" in toy.stale_for_dvc()
    assert "filter" in toy.stale_for_snakemake()


@pytest.mark.parametrize("torn", [b"", b'{"/a": {"wri'])
def test_dvcs_torn_list_of_readers_and_writers_is_mended(toy: Project, torn: bytes) -> None:
    path = toy.folder / ".dvc/tmp/rwlock"
    path.write_bytes(torn)
    assert toy.dvc("repro", check=False).returncode != 0, "DVC itself stops here"
    threshold(toy, 0.6)
    toy.snakemake()
    assert toy.stale_for_dvc() == set()


def test_a_full_disk_stops_the_build(toy: Project) -> None:
    """The cache cannot be written: the job's outputs are there, but not recorded."""
    threshold(toy, 0.6)
    cache = toy.folder / ".dvc/cache/files/md5"
    shutil.rmtree(cache)
    cache.write_text("no folder")
    before = recorded(toy, "filter")
    done = toy.snakemake(check=False)
    assert done.returncode != 0
    assert "cannot record the outputs of" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert recorded(toy, "filter") == before
    cache.unlink()
    toy.snakemake()
    assert toy.stale_for_dvc() == set()
