"""Locks of one process keep another out until it ends."""

import os
import stat
import subprocess
import sys

import pytest

from holdfast.common.locks import lock, locked, open_lock, try_lock
from toy_project import ROOT

HOLD = """
import sys
from holdfast.common.locks import open_lock, try_lock
file = open_lock(sys.argv[1])
print(try_lock(file, shared=sys.argv[2] == "shared"), flush=True)
input()
"""


def held(path, kind):
    """Another process that holds the lock."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), kind],
        env={"PYTHONPATH": str(ROOT / "src")}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout.readline() == "True\n"
    return child


@pytest.mark.parametrize(("kind", "shared"), [("shared", True), ("alone", False)])
def test_a_lock_goes_with_its_process(tmp_path, kind, shared):
    child = held(tmp_path / "lock", kind)
    with open_lock(tmp_path / "lock") as file:
        assert not try_lock(file)
        assert try_lock(file, shared=True) == shared
        child.kill()
        child.communicate()
        assert try_lock(file)
        lock(file, shared=True)


def test_every_lock_file_is_open_for_reading_and_writing(tmp_path):
    """Over NFSv4 a shared lock needs the one, an exclusive lock the other."""
    (tmp_path / "lock").write_text("who holds it")
    with open_lock(tmp_path / "lock") as file:
        assert file.readable()
        assert file.writable()
        assert file.read() == b"who holds it"
    with locked(tmp_path / "new"):
        assert stat.S_ISREG(os.stat(tmp_path / "new").st_mode)
