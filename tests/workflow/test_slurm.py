"""Builds on a real SLURM cluster of two nodes on this machine, and what happens on clusters."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from toy_project import ROOT, Project, make

CLUSTER = ROOT / "tests/support/slurm_cluster.sh"
PROFILE = ("--profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "1")
SMALL = ("--default-resources", "mem_mb=2000", "runtime=60", "cpus_per_task=1")
INSTALLED = all(map(shutil.which, ("slurmctld", "slurmd", "munged"))) and os.geteuid() == 0

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.xdist_group("slurm"),
    pytest.mark.skipif(not INSTALLED, reason="SLURM and munge are not installed, or this is not root"),
]


class OnCluster:
    """A toy project in a folder that the nodes share."""

    def __init__(self, folder: Path, project: Project) -> None:
        self.folder, self.project = folder, project
        self.builds = 0

    def cluster(self, *words: str) -> None:
        subprocess.run([CLUSTER, words[0], self.folder, *words[1:]], check=True, capture_output=True)

    def slurm(self, *words: str) -> str:
        return self.project.run(*words).stdout

    def jobs(self) -> list[str]:
        """Waiting and running jobs."""
        return self.slurm("squeue", "-h", "-o", "%i").split()

    def start(self, *words: str) -> "subprocess.Popen[str]":
        self.builds += 1
        said = self.project.outside / f"build-{self.builds}"
        return subprocess.Popen(
            ["snakemake", *PROFILE, *SMALL, *words],
            cwd=self.project.folder,
            env=self.project.environment(),
            stdout=said.open("w"),
            stderr=subprocess.STDOUT,
            text=True,
        )

    def said(self) -> str:
        """What the last build printed."""
        return (self.project.outside / f"build-{self.builds}").read_text()

    def finish(self) -> None:
        """The same command again, to the end; then everything is as a build on one machine makes it."""
        assert self.start().wait(300) == 0, self.said()
        assert not (self.project.outside / "twice").exists(), "a job ran beside itself"
        assert self.project.stale_for_dvc() == set()
        alone = make(self.project.folder.parent / f"alone-{self.builds}")
        alone.snakemake("--cores", "2")
        for path in ("data/filter/selected.txt", "models/mixed/weights.txt", "metrics/summary.json"):
            assert (self.project.folder / path).read_bytes() == (alone.folder / path).read_bytes()


def wait_for(condition: Callable[[], object], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("slurm")
    folder.chmod(0o755)
    subprocess.run([CLUSTER, "up", folder], check=True, stdout=subprocess.DEVNULL, timeout=120)
    yield folder
    subprocess.run([CLUSTER, "down", folder], check=True)


@pytest.fixture
def here(folder: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[OnCluster]:
    monkeypatch.setenv("SLURM_CONF", str(folder / "etc/slurm.conf"))
    here = OnCluster(folder, make(folder / request.node.name / "toy"))
    yield here
    for job in here.jobs():
        here.slurm("scancel", job)


def hang(here: OnCluster, step: str) -> Path:
    """Have a step hang, once it runs, until the file that is returned is removed."""
    path = here.project.outside / f"hang-{step}"
    path.touch()
    return path


def running(here: OnCluster, step: str) -> bool:
    trace = here.project.outside / "ran"
    return trace.exists() and step in trace.read_text().split()


def test_a_killed_build_leaves_nothing_that_stands_in_the_way(here: OnCluster) -> None:
    """Its running jobs are cancelled, those that still wait for a node find that their build is over."""
    stuck = hang(here, "generate")
    build = here.start()
    wait_for(lambda: running(here, "generate"))
    here.slurm("scontrol", "update", "nodename=node1,node2", "state=drain", "reason=test")
    build.send_signal(signal.SIGKILL)
    build.wait()
    here.slurm("scontrol", "update", "nodename=node1,node2", "state=resume")
    stuck.unlink()
    here.finish()


def test_a_cancelled_job_fails_with_the_scheduler_s_word_and_the_next_build_goes_on(here: OnCluster) -> None:
    stuck = hang(here, "filter")
    build = here.start()
    wait_for(lambda: running(here, "filter"))
    for job in here.jobs():
        here.slurm("scancel", job)
    assert build.wait(200) == 1
    assert "SLURM job" in here.said()
    assert "CANCELLED" in here.said()
    stuck.unlink()
    here.finish()


def test_a_job_whose_node_dies_starts_again_on_another(here: OnCluster) -> None:
    stuck = hang(here, "filter")
    build = here.start()
    wait_for(lambda: running(here, "filter"))
    node = here.slurm("squeue", "-h", "-t", "R", "-o", "%N").strip()[-1]
    here.cluster("crash", node)
    stuck.unlink()
    here.cluster("node", node)
    assert build.wait(300) in (0, 1)
    here.finish()


def test_memory_that_is_not_enough_is_named(here: OnCluster) -> None:
    greedy = "import time; taken = bytearray(900_000_000); taken[::4096] = b'x' * len(taken[::4096]); time.sleep(5)"
    step = here.project.folder / "src/holdfast/toy/filter.py"
    before = step.read_text()
    step.write_text(before.replace('if __name__ == "__main__":', f'if __name__ == "__main__":\n    {greedy}'))
    assert here.start("--set-resources", "filter:mem_mb=400").wait(200) == 1
    assert "raise mem_mb (models.<name>.resources" in here.said()
    step.write_text(before)
    here.finish()


def test_a_job_that_will_never_start_is_named(here: OnCluster) -> None:
    """squeue says why it waits; the build goes on to wait, as the cluster may change."""
    too_many = 1 + int(here.slurm("sinfo", "-h", "-N", "-o", "%c").split()[0])
    build = here.start("--set-resources", f"filter:cpus_per_task={too_many}")
    try:
        wait_for(lambda: "will not start" in here.said() or build.poll() is not None, 150)
        assert f"cpus_per_task {too_many}" in here.said() or "sbatch" in here.said(), here.said()
        assert "filter" in here.said()
    finally:
        build.send_signal(signal.SIGINT)
        build.wait(60)
    here.finish()
