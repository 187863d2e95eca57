"""One build in a checkout, whatever the hosts; what an earlier build left running is stopped."""

import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from holdfast.build import owner, ownership
from holdfast.build.ownership import BUILD, BUILD_LOCK, JOBS, Build, Owner
from holdfast.common.errors import UserError
from toy_project import ROOT

HOLDER = "from holdfast.build.ownership import Build; build = Build('snakemake'); print(flush=True); input()"
JOB = """
import time
from holdfast.build.ownership import running_job
with running_job("generate-base"):
    print(flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def python(code: str, **environment: str) -> "subprocess.Popen[bytes]":
    """A process that has printed its first line."""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src")} | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout
    process.stdout.readline()
    return process


@pytest.fixture
def elsewhere() -> Owner:
    """An owner on another host, in the build lock's file."""
    owner = Owner("snakemake", "theirs", "another-host", 17, "1")
    BUILD_LOCK.parent.mkdir()
    BUILD_LOCK.write_bytes(owner.text())
    return owner


def test_the_lock_goes_with_its_process() -> None:
    holder = python(HOLDER)
    with pytest.raises(UserError, match=rf"another build runs .*: snakemake, process {holder.pid} on"):
        Build("snakemake")
    holder.kill()
    holder.wait()
    Build("snakemake").end()


def test_a_build_on_another_host_is_known_by_its_sign_of_life(elsewhere: Owner) -> None:
    ownership.Beat(BUILD_LOCK)
    with pytest.raises(UserError, match=r"another build runs .*: snakemake, process 17 on another-host"):
        Build("snakemake")
    assert BUILD_LOCK.read_bytes() == elsewhere.text()


def test_a_dead_host_is_taken_over_from(elsewhere: Owner) -> None:
    then = time.time() - owner.SILENT_S + 2  # its last sign of life was recent
    os.utime(BUILD_LOCK, (then, then))
    build = Build("snakemake")
    assert ownership.current_owner() == build.owner
    build.end()
    assert ownership.current_owner() is None


def test_a_number_used_again_is_another_process() -> None:
    owner = Owner.this_process("snakemake", "b")
    assert owner.runs_here()
    assert not Owner(owner.what, owner.build, owner.host, owner.process, str(int(owner.started) - 1)).runs_here()


@pytest.mark.parametrize("torn", [b"", b'{"what": "snakem', b"[]", b"\xff"])
def test_a_torn_file_is_in_nobodys_way(torn: bytes) -> None:
    JOBS.mkdir(parents=True)
    (JOBS / "generate-base").write_bytes(torn)
    BUILD_LOCK.write_bytes(torn)
    build = Build("snakemake")
    ownership.stop_earlier_jobs(build.owner.build, print)
    assert not list(JOBS.iterdir())
    build.end()


def test_a_job_of_a_killed_build_is_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    killed = Build("snakemake")
    job = python(JOB, **{BUILD: killed.owner.build})
    killed.end()
    build = Build("snakemake")
    ownership.stop_earlier_jobs(build.owner.build, print)
    assert job.wait() != 0
    assert "stopping generate-base, a job of an earlier build" in capsys.readouterr().out
    assert not list(JOBS.iterdir())
    build.end()


def test_a_late_job_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BUILD, "an earlier build's")
    with pytest.raises(UserError, match="has ended; nothing was changed"), ownership.running_job("generate-base"):
        raise AssertionError
    build = Build("snakemake")
    with pytest.raises(UserError, match="has ended; nothing was changed"), ownership.running_job("generate-base"):
        raise AssertionError
    build.end()
    assert not list(JOBS.glob("*"))


def test_a_job_runs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    build = Build("snakemake")
    job = python(JOB, **{BUILD: build.owner.build})
    monkeypatch.setenv(BUILD, build.owner.build)
    with (
        pytest.raises(UserError, match=rf"already runs \(process {job.pid} on"),
        ownership.running_job("generate-base"),
    ):
        raise AssertionError
    assert json.loads((JOBS / "generate-base").read_text())["process"] == job.pid
    job.kill()
    job.wait()
    with ownership.running_job("generate-base"):
        assert json.loads((JOBS / "generate-base").read_text())["process"] == os.getpid()
    assert not (JOBS / "generate-base").exists()
    build.end()


def test_a_job_ends_when_another_build_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    build = Build("snakemake")
    job = python(
        JOB.replace("import time", "import time, holdfast.build.owner as o; o.BEAT_S = 0.1", 1),
        **{BUILD: build.owner.build},
    )
    build.end()
    assert job.poll() is None, "a build that ended lets its jobs finish"
    later = Build("snakemake")
    assert job.wait() == -15
    later.end()


def test_a_job_sees_that_the_builds_lock_does_not_reach_its_host(
    elsewhere: Owner, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(BUILD, elsewhere.build)
    with BUILD_LOCK.open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with ownership.running_job("generate-base"):
            pass
    assert not ownership.LOCKS_STAY.exists(), "the lock is seen"
    with ownership.running_job("generate-base"):
        assert ownership.LOCKS_STAY.exists()
    assert "WARNING: file locks do not reach other hosts" in capsys.readouterr().out
