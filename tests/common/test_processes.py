"""A function in a process of its own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from child_functions import divide, kill, refuse
from holdfast.common.errors import UserError
from holdfast.common.processes import in_own_process

CHILD = """
import os, sys, time
from pathlib import Path
from holdfast.common.processes import in_own_process

def work(folder):
    (Path(folder) / "pid").write_text(str(os.getpid()))
    time.sleep(60)

if __name__ == "__main__":
    in_own_process("work", work, sys.argv[1])
"""


def test_what_it_returns_comes_from_another_process() -> None:
    assert in_own_process("it", os.getpid) != os.getpid()
    assert len(in_own_process("it", bytes, 10_000_000)) == 10_000_000


def test_what_goes_wrong_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=r"^no such task$"):
        in_own_process("it", refuse, "no such task")
    with pytest.raises(UserError, match="it: its process was broken off; its last messages are above"):
        in_own_process("it", divide, 0)
    assert "ZeroDivisionError" in capfd.readouterr().err
    with pytest.raises(UserError, match="it: its process was killed by signal 9, perhaps because memory ran out"):
        in_own_process("it", kill)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_it_ends_with_the_one_that_waits(tmp_path: Path, number: signal.Signals, status: int) -> None:
    (tmp_path / "child.py").write_text(CHILD)
    waiting = subprocess.Popen([sys.executable, tmp_path / "child.py", tmp_path], stderr=subprocess.DEVNULL)
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.05)
    child = int((tmp_path / "pid").read_text())
    waiting.send_signal(number)
    assert waiting.wait(20) == status
    until = time.monotonic() + 10
    while Path(f"/proc/{child}").exists() and b"\nState:\tZ" not in Path(f"/proc/{child}/status").read_bytes():
        assert time.monotonic() < until, "an orphan is left"
        time.sleep(0.05)
