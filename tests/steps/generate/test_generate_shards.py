"""Shards of one committee model on a real engine."""

import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from chain import generate, journal_rows, write_instructions, write_params
from models import ROOT, tiny_model

pytestmark = pytest.mark.engine

KEYS = "random_seed,generate.samples,generate.sampling,generate.models.tiny,models.tiny"


def shard_command(number: int, of: int) -> list[str]:
    return [
        *[str(ROOT / "envs/in-env"), "inference", "python", "-m", "holdfast.steps.generate.shard", "--params", KEYS],
        *["--model", "tiny", "--instructions", "instructions.parquet", "--shard", f"{number}/{of}"],
        *["--earlier", "out/tiny.parquet", "--done", f"out/tiny-{number}of{of}.json"],
    ]


def project(folder: Path, shards: int, rows: int) -> Path:
    folder.mkdir()
    write_instructions(folder / "instructions.parquet", rows)
    model = {"path": str(tiny_model()), "engine_args": {"max_model_len": 256}, "shards": shards}
    write_params(folder, model)
    assert yaml.safe_load((folder / "params.yaml").read_text())["models"]["tiny"]["shards"] == shards
    return folder


def test_a_killed_shard_goes_on_alone_and_the_table_is_that_of_one_job(tmp_path: Path) -> None:
    folder = project(tmp_path / "killed", 3, 400)
    job = subprocess.Popen(shard_command(1, 3), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (kept := len(journal_rows(folder))):
        assert job.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    job.send_signal(signal.SIGKILL)
    job.wait()
    again = subprocess.run(shard_command(1, 3), cwd=folder, check=True, capture_output=True, text=True, timeout=300)
    reused = int(again.stdout.split(" reused")[-2].split()[-1].replace(",", ""))
    assert kept <= reused
    assert not (folder / "out/tiny-2of3.json").exists()
    for number in (2, 3):
        subprocess.run(shard_command(number, 3), cwd=folder, check=True, capture_output=True, timeout=300)
    assert "none asked" in generate(folder).stdout
    assert journal_rows(folder)["key"].is_unique().all()
    calm = project(tmp_path / "calm", 1, 400)
    shutil.rmtree(calm / ".holdfast", ignore_errors=True)
    assert generate(calm).returncode == 0
    assert (calm / "out/tiny.parquet").read_bytes() == (folder / "out/tiny.parquet").read_bytes()
