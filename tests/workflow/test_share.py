"""Push, clone, pull: both engines say that there is nothing to do, over a folder, SSH and S3; remotes that fail."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import toy_project
from toy_project import ROOT, Project

pytestmark = pytest.mark.workflow


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(command: list[str], port: int, folder: Path) -> Iterator[None]:
    """A server process on loopback, from when it answers."""
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 240
        while process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.1)
        assert process.poll() is None, (folder / "server.log").read_text()
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def local(project: Project, folder: Path) -> Iterator[None]:
    project.dvc("remote", "add", "--default", "store", str(folder / "remote"))
    yield


@contextmanager
def ssh(project: Project, folder: Path) -> Iterator[None]:
    sshd = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if not sshd:
        pytest.skip("no sshd here; install openssh-server to test sharing over SSH")
    port, user = free_port(), getpass.getuser()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    (folder / "user.pub").rename(folder / "authorized")
    settings = [
        f"Port {port}", "ListenAddress 127.0.0.1", f"HostKey {folder}/host", f"AuthorizedKeysFile {folder}/authorized",
        "PidFile none", "StrictModes no", "UsePAM no", "PermitRootLogin yes", "Subsystem sftp internal-sftp",
    ]  # fmt: skip
    (folder / "sshd_config").write_text("\n".join(settings) + "\n")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where sshd separates its privileges
    with server([sshd, "-D", "-e", "-f", str(folder / "sshd_config")], port, folder):
        project.dvc("remote", "add", "--default", "store", f"ssh://{user}@127.0.0.1:{port}{folder}/remote")
        project.dvc("remote", "modify", "store", "keyfile", str(folder / "user"))
        yield


@contextmanager
def s3(project: Project, folder: Path) -> Iterator[None]:
    built = subprocess.run([ROOT / "envs/in-env", "--path", "s3"], capture_output=True, text=True)
    if built.returncode:
        pytest.skip(f"the S3 server's environment cannot be built here: {built.stderr.splitlines()[-1]}")
    port = free_port()
    with server([f"{built.stdout.strip()}/bin/moto_server", "-H", "127.0.0.1", "-p", str(port)], port, folder):
        httpx.put(f"http://127.0.0.1:{port}/bucket").raise_for_status()
        project.dvc("remote", "add", "--default", "store", "s3://bucket/rehearsal")
        project.dvc("remote", "modify", "store", "endpointurl", f"http://127.0.0.1:{port}")
        yield


@pytest.mark.parametrize("remote", [local, ssh, s3])
def test_a_clone_that_pulls_has_nothing_to_do(
    toy: Project, tmp_path: Path, remote: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with remote(toy, tmp_path):
        toy.commit()
        toy.dvc("push")
        twin = toy_project.clone(toy, tmp_path / "twin")
        twin.dvc("pull")
        assert twin.stale_for_snakemake() == twin.stale_for_dvc() == set()
        assert "Nothing to be done" in twin.snakemake().stderr
        assert "up to date" in twin.dvc("repro").stdout
        assert twin.ran() == []
        assert twin.git("status", "--porcelain").stdout == ""


def test_what_the_readme_says_about_sharing(toy: Project, tmp_path: Path) -> None:
    said = (ROOT / "README.md").read_text().split("## Share")[1].split("```console\n")[1].split("```")[0]
    assert "s3://bucket/path" in said
    toy.run("bash", "-ec", said.replace("s3://bucket/path", str(tmp_path / "remote")))
    twin = toy_project.clone(toy, tmp_path / "twin")
    twin.dvc("pull")
    assert twin.stale_for_snakemake() == twin.stale_for_dvc() == set()


def test_one_file_for_another_project(toy: Project, tmp_path: Path) -> None:
    """`dvc get` copies it; `dvc import` also remembers where it came from and sees a newer one."""
    with local(toy, tmp_path):
        toy.commit()
        toy.dvc("push")
        (tmp_path / "other").mkdir()
        other = Project(tmp_path / "other")
        other.git("init", "--quiet")
        other.dvc("init", "--quiet")
        other.dvc("get", str(toy.folder), "data/filter/selected.txt", "--out", "copy.txt")
        other.dvc("import", str(toy.folder), "data/filter/selected.txt", "--out", "mine.txt")
        expected = (toy.folder / "data/filter/selected.txt").read_text()
        assert (other.folder / "copy.txt").read_text() == (other.folder / "mine.txt").read_text() == expected
        params = toy.folder / "params.yaml"
        params.write_text(params.read_text().replace("threshold: 0.2", "threshold: 0.6"))
        toy.snakemake("--", "data/filter/selected.txt")
        toy.commit()
        toy.dvc("push")
        assert "mine.txt.dvc" in other.dvc("status").stdout
        other.dvc("update", "mine.txt.dvc")
        assert (
            (other.folder / "mine.txt").read_text() == (toy.folder / "data/filter/selected.txt").read_text() != expected
        )


def down(folder: Path) -> str:
    return f"ssh://nobody@127.0.0.1:{free_port()}/remote"


def refusing(folder: Path) -> str:
    (folder / "a file").touch()  # where the remote's folder should be
    return str(folder / "a file" / "remote")


def full(folder: Path) -> str:
    place = folder / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", str(place)], capture_output=True).returncode:
        pytest.skip("cannot mount a small file system here")
    return str(place / "remote")


@pytest.mark.parametrize("remote", [down, refusing, full])
def test_a_remote_that_fails_costs_nothing(toy: Project, tmp_path: Path, remote: "type[str]") -> None:
    address = remote(tmp_path)
    try:
        toy.dvc("remote", "add", "--default", "store", address)
        done = toy.dvc("push", check=False)
        assert done.returncode != 0
        assert "ERROR" in done.stderr
        assert "Traceback" not in done.stderr
        assert toy.stale_for_snakemake() == toy.stale_for_dvc() == set()
    finally:
        subprocess.run(["umount", str(tmp_path / "small")], capture_output=True)
