"""The endpoint engine against a real vLLM server: it says what vLLM in the job's own process says."""

import math
import os
import signal
import socket
import subprocess
import time

import httpx
import pytest

from asked import REQUESTS
from chain import ask_apart
from holdfast.inference.ask import Request, ask
from holdfast.inference.params import Model, Sampling
from models import ROOT, tiny_model

pytestmark = pytest.mark.engine
ARGUMENTS = ["--max-model-len", "256", "--dtype", "float32", "--enforce-eager", "--no-enable-chunked-prefill"]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """Address of a server on loopback that serves the tiny model as `tiny`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    command = [str(ROOT / "envs" / "in-env"), "inference", "python", "-m", "vllm.entrypoints.openai.api_server"]
    options = ["--model", str(tiny_model()), "--served-model-name", "tiny", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("w") as output:
        server = subprocess.Popen(
            [*command, *options, *ARGUMENTS], stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        for _ in range(600):
            assert server.poll() is None, log.read_text()[-3000:]
            try:
                if httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)


def test_a_server_says_what_the_engine_in_process_says(url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = [
        Request(
            r["id"],
            tuple(r["prompt_ids"]) if "prompt_ids" in r else None,
            tuple(map(tuple, r["messages"])) if "messages" in r else None,
            r.get("seed", 0),
            Sampling(**r["sampling"]),
            tuple(r.get("stop_ids", ())),
            tuple(r.get("logprobs_of", ())),
        )
        for r in REQUESTS
        if not r["id"].startswith("spells")  # the server knows no other way than to take it for the template's
    ]
    model = Model(path="tiny", engine="openai", url=url, max_failed_share=0.2)
    answers = ask("tiny", model, asked, len(asked), step="test").collect()
    here = {"path": str(tiny_model()), "max_failed_share": 0.2, "engine_args": {"max_model_len": 256}}
    (local,) = ask_apart(tmp_path, [{"model": here, "requests": REQUESTS}])
    expected = {row["id"]: row for row in local.iter_rows(named=True)}
    assert len(answers) == len(REQUESTS) - 1
    for row in answers.iter_rows(named=True):
        same = expected[row["id"]]
        for column in ("error", "finish_reason", "output_tokens"):
            assert row[column] == same[column], row["id"]
        if row["logprobs"]:
            likely = [p for p in row["logprobs"] if p > -math.inf]  # a server tells of the 20 likeliest only
            assert likely == pytest.approx([p for p in same["logprobs"] if p >= min(likely, default=0)], abs=1e-4)
        elif not row["error"]:
            assert (row["prompt_tokens"], row["text"]) == (same["prompt_tokens"], same["text"]), row["id"]
