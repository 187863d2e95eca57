"""Killed at any moment, a job goes on where it was: same bytes, no row lost, doubled or asked twice."""

import json
import subprocess
from collections import Counter

import pytest

from chain import generate_command, journal_rows, write_instructions, write_params
from models import tiny_model

pytestmark = pytest.mark.engine
KILLS = 20

# Forks jobs from one process that has imported vLLM, so that each costs an engine's start and not an import.
DRIVER = """
import json, os, random, signal, sys, time
from glob import glob
import vllm.v1.engine.llm_engine, vllm.engine.arg_utils, transformers.models.llama
from holdfast.common.step import run
from holdfast.steps.generate.__main__ import main

arguments, kills, signals = sys.argv[4:], int(sys.argv[1]), json.loads(sys.argv[2])
chance = random.Random(int(sys.argv[3]))

def start(folder):
    child = os.fork()
    if child:
        return child
    os.chdir(folder)
    log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1), os.dup2(log, 2)
    sys.argv = ["generate", *arguments]
    try:
        run(main)
        code = 0
    except SystemExit as stop:
        code = stop.code
    sys.stdout.flush()
    os._exit(code)

def ended(child):
    return os.waitpid(child, os.WNOHANG)[0] != 0

def tails():
    return set(glob("killed/.holdfast/journal/*/*.tail"))

def wait_for_rows(child, before):
    while not tails() - before:
        time.sleep(0.005)
        assert not ended(child), "the job ended too early for the test"

statuses = []
for kill in range(kills):
    before = tails()
    child = start("killed")
    if kill % 4:
        wait_for_rows(child, before)
        time.sleep(chance.uniform(0, 0.3))
    else:
        time.sleep(chance.uniform(0, 3))
    os.kill(child, signal.SIGKILL)
    statuses.append(os.waitpid(child, 0)[1])
for number in signals:
    before = tails()
    child = start("killed")
    wait_for_rows(child, before)
    os.kill(child, number)
    begun = time.monotonic()
    statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    print("stopped after", time.monotonic() - begun, file=sys.stderr)
for folder in ("killed", "calm"):
    statuses.append(os.waitstatus_to_exitcode(os.waitpid(start(folder), 0)[1]))
print(json.dumps(statuses))
"""


def test_twenty_kills_leave_no_trace(tmp_path):
    for name in ("killed", "calm"):
        (tmp_path / name).mkdir()
        write_instructions(tmp_path / name / "instructions.parquet", 2500)
        model = {"path": str(tiny_model()), "engine_args": {"max_model_len": 256, "max_num_seqs": 64}}
        write_params(tmp_path / name, model, max_tokens=24)
    command = generate_command()
    driver = [*command[:2], "python", "-c", DRIVER, str(KILLS), json.dumps([15, 2]), "0", *command[5:]]
    done = subprocess.run(driver, cwd=tmp_path, capture_output=True, text=True, timeout=1000)
    assert done.returncode == 0, done.stderr[-2000:] + (tmp_path / "killed" / "log").read_text()[-2000:]
    statuses = json.loads(done.stdout.splitlines()[-1])
    assert statuses == [9] * KILLS + [143, 130, 0, 0]
    for name in ("tiny.parquet", "tiny.rejected.parquet"):
        killed, calm = (tmp_path / run / "out" / name for run in ("killed", "calm"))
        assert killed.read_bytes() == calm.read_bytes()
    times_kept = Counter(journal_rows(tmp_path / "killed")["key"])
    assert len(times_kept) == 5000
    assert set(times_kept.values()) == {1}, "a finished row was asked again"
    log = (tmp_path / "killed" / "log").read_text()
    assert "Traceback" not in log
    assert "stopped by SIGTERM; finished rows are kept" in log
