"""Jobs side by side get different GPUs, and wait when there are none left."""

import os
import time

import pytest

from holdfast.common import gpus
from holdfast.common.errors import UserError
from holdfast.common.gpus import own_gpus
from holdfast.inference.params import Model
from holdfast.steps.evaluate.harness import loading, run_harness
from holdfast.steps.evaluate.params import HarnessSuite


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


def test_a_job_waits_until_enough_are_free(tmp_path, capfd):
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
    assert capfd.readouterr().out.count("waiting for 2 GPUs that no other job uses, of 0, 2, GPU-77") == 1


def test_all_users_share_the_locks(tmp_path):
    mask = os.umask(0o077)
    try:
        with own_gpus(1, tmp_path / "locks"):
            assert (tmp_path / "locks").stat().st_mode & 0o777 == 0o777
            assert [lock.stat().st_mode & 0o777 for lock in (tmp_path / "locks").iterdir()] == [0o666]
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(mask)


def test_a_folder_that_cannot_be_used_is_said(tmp_path):
    (tmp_path / "locks").write_text("a file")
    with (
        pytest.raises(UserError, match=r"locks: File exists; jobs lock their GPUs there"),
        own_gpus(1, tmp_path / "locks"),
    ):
        pass


def test_the_harness_takes_gpus_of_its_own(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    suite = HarnessSuite(kind="lm_eval", tasks=["gsm8k"])
    with pytest.raises(UserError, match="needs 2 GPUs"):
        run_harness("arm", Model(path="m", gpus=2), "maths", suite)


def test_the_harness_loads_the_model_as_declared():
    model = Model(path="a/b", revision="abc", gpus=2, engine_args={"trust_remote_code": True, "dtype": "bfloat16"})
    assert loading(model, cuda=True) == {
        "pretrained": "a/b", "revision": "abc", "dtype": "bfloat16", "device": "cuda",
        "trust_remote_code": True, "parallelize": True,
    }  # fmt: skip
    small = loading(Model(path="a/b"), cuda=False)
    assert small == {"pretrained": "a/b", "dtype": "auto", "device": "cpu", "trust_remote_code": False}


def test_too_few_are_said(tmp_path):
    with pytest.raises(UserError, match=r"needs 4 GPUs .* can use 3 here"), own_gpus(4, tmp_path):
        pass
    with own_gpus(0, tmp_path) as none:
        assert none == []
        assert not list(tmp_path.iterdir())
