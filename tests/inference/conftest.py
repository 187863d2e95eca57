"""What several tests of inference start from."""

from pathlib import Path

import pytest

from holdfast.inference.engines import openai


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder is an empty one."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def endpoint_job(empty_folder: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new job: nothing spent yet, and no waiting between tries."""
    monkeypatch.setattr(openai, "BACKOFF_S", 0.002)
    openai.SPENT.clear()
