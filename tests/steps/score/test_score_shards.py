"""A judge's shards leave in the journal what the step's own job then writes, further attempts included."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from committees import candidate, frames, instruction
from models import ROOT
from server import served

KEYS = "random_seed,score.attempts,score.method,score.sampling,score.judges.tiny,models.tiny"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    asked = [instruction(n) for n in range(20)]
    answers = [candidate(row["instruction_id"], "tiny", n, f"answer {min(n, 3)}") for row in asked for n in range(5)]
    instructions, generations, _ = frames(asked, answers, [])
    instructions.sink_parquet(tmp_path / "instructions.parquet")
    generations.sink_parquet(tmp_path / "generations.parquet")
    (tmp_path / "rubric.md").write_text("Score the answer from 1 to 5.\n")
    return tmp_path


def job(folder: Path, module: str, *words: str) -> None:
    files = ["--rubric", "rubric.md", "--instructions", "instructions.parquet", "--generations", "generations.parquet"]
    command = [ROOT / "envs/in-env", "core", "python", "-m", module, "--params", KEYS, "--judge", "tiny", *files]
    done = subprocess.run([*command, *words], cwd=folder, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr[-2000:]


def test_shards_give_the_same_table_and_ask_nothing_twice(folder: Path) -> None:
    def reply(body: dict[str, object]) -> str:  # some first attempts cannot be read
        return "no idea" if int(str(body["seed"])) % 5 < 2 else f"Score: {int(str(body['seed'])) % 5 + 1}"

    tables = []
    with served() as server:
        server.answer = reply
        for of in (1, 3):
            shutil.rmtree(folder / ".holdfast", ignore_errors=True)
            server.tries.clear()
            judge = {"path": "m", "engine": "openai", "url": server.url, "shards": of}
            score = {"attempts": 3, "method": "parse", "sampling": {"temperature": 1.0}, "judges": {"tiny": {}}}
            params = {"random_seed": 0, "models": {"tiny": judge}, "score": score}
            (folder / "params.yaml").write_text(yaml.safe_dump(params))
            for number in range(1, of + 1 if of > 1 else 1):
                shard = ["--shard", f"{number}/{of}", "--earlier", "scores.parquet", "--done", f"{number}.json"]
                job(folder, "holdfast.steps.score.shard", *shard)
            sharded = server.tries.total()
            job(folder, "holdfast.steps.score", "--scores", "scores.parquet")
            assert of == 1 or server.tries.total() == sharded, "the shards have asked everything"
            tables.append(((folder / "scores.parquet").read_bytes(), server.tries.total()))
    (alone, asked), (together, as_many) = tables
    assert asked == as_many > 80, "some are asked more than once"
    assert together == alone
    assert sum(json.loads((folder / f"{n}.json").read_text())["rows"] for n in (1, 2, 3)) == 80, "last attempts"
