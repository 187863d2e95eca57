"""Jobs side by side get different GPUs, and wait when there are none left."""

import os
import time

import pytest

from holdfast import gpus
from holdfast.errors import UserError
from holdfast.gpus import own_gpus


@pytest.fixture(autouse=True)
def _machine(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,2,GPU-77")
    monkeypatch.setattr(gpus, "WAIT_S", 0.02)


def test_two_jobs_never_share(tmp_path):
    with own_gpus(2, tmp_path) as one:
        assert os.environ["CUDA_VISIBLE_DEVICES"] == ",".join(one)
        os.environ["CUDA_VISIBLE_DEVICES"] = "0,2,GPU-77"  # as another job sees it
        with own_gpus(1, tmp_path) as other:
            assert sorted([*one, *other]) == ["0", "2", "GPU-77"]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,2,GPU-77"


def test_a_job_waits_until_enough_are_free(tmp_path):
    child = os.fork()
    if child == 0:
        with own_gpus(2, tmp_path):
            (tmp_path / "held").touch()
            time.sleep(0.4)
            (tmp_path / "ending").touch()
            os._exit(0)
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    with own_gpus(2, tmp_path) as held:
        assert (tmp_path / "ending").exists()
        assert len(held) == 2
    os.waitpid(child, 0)


def test_too_few_are_said(tmp_path):
    with pytest.raises(UserError, match=r"4 GPUs are needed .* 3 are here"), own_gpus(4, tmp_path):
        pass
    with own_gpus(0, tmp_path) as none:
        assert none == []
        assert not list(tmp_path.iterdir())
