"""A job's end is noticed when it leaves its result, whatever the executor's interval."""

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from types import SimpleNamespace

import pytest

from holdfast.build import polling
from holdfast.build.job_files import RESULTS
from holdfast.build.waiting_jobs import WaitingJobs


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(polling, "LOOK_S", 0.01)
    monkeypatch.setattr(polling, "AGAIN_S", 0.05)


def waiting(due_s: float) -> Coroutine[None, None, None]:
    executor = SimpleNamespace(next_seconds_between_status_checks=due_s, active_jobs=[])
    return polling.wait(executor, WaitingJobs())


def left() -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "generate-base").write_text("{}")


def test_a_result_ends_the_waiting() -> None:
    threading.Timer(0.2, left).start()
    asyncio.run(asyncio.wait_for(waiting(3600), 30))
    assert list(RESULTS.iterdir()), "it waited for the result"


def test_without_a_result_it_waits_as_long_as_the_executor_wants() -> None:
    RESULTS.mkdir(parents=True)
    (RESULTS / ".being-written").touch()
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(waiting(3600), 0.5))
    asyncio.run(asyncio.wait_for(waiting(0.1), 30))
