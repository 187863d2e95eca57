"""A colleague pulls a set, adds instructions, and asks the models for the added ones alone: with real DVC."""

import hashlib
import os
import subprocess
from pathlib import Path

import polars as pl
import pytest
import yaml

from chain import generate_command, write_instructions, write_params
from holdfast.inference.recorded import earlier_rows, recorded_version
from models import ROOT
from server import served

pytestmark = pytest.mark.workflow


def run(folder: Path, *command: str) -> str:
    environ = os.environ | {"GIT_CONFIG_GLOBAL": "/dev/null", "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(
        [str(ROOT / "envs" / "in-env"), "core", *command], cwd=folder, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def git(folder: Path, *words: str) -> str:
    return run(folder, "git", "-c", "user.name=t", "-c", "user.email=t@t", *words)


def test_a_failed_row_is_no_answer_to_take_over(tmp_path, monkeypatch):
    """A recorded table says of a failed row only that it failed: it is asked again."""
    monkeypatch.chdir(tmp_path)
    good = {"request_key": "00ff", "raw": "4", "finish_reason": "stop", "prompt_tokens": 3, "output_tokens": 1}
    failed = {"request_key": "11ff", "raw": None, "finish_reason": "error", "prompt_tokens": None, "output_tokens": 0}
    pl.DataFrame([good, failed]).write_parquet("table.parquet")
    content = Path("table.parquet").read_bytes()
    md5 = hashlib.md5(content).hexdigest()
    cached = Path(".dvc/cache/files/md5", md5[:2], md5[2:])
    cached.parent.mkdir(parents=True)
    cached.write_bytes(content)
    lock = {"stages": {"score-tiny": {"outs": [{"path": "out/scores.parquet", "md5": md5}]}}}
    Path("dvc.lock").write_text(yaml.safe_dump(lock))
    earlier = earlier_rows("out/scores.parquet", "raw")
    assert earlier is not None
    assert earlier.select("key", "text").collect().rows() == [(b"\x00\xff", "4")]


@pytest.mark.parametrize("level", ["--global", "--local", "--project"])
def test_the_cache_is_where_dvc_is_configured_to_have_it(tmp_path, monkeypatch, level):
    """Not only by the repository's own configuration file, but by the user's and the machine's too."""
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "user"))
    git(project, "init", "-q")
    run(project, "dvc", "init", "-q")
    run(project, "dvc", "config", level, "cache.dir", str(tmp_path / "the cache"))
    (project / "table.txt").write_text("a version")
    (project / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"one": {"cmd": "true", "outs": ["table.txt"]}}}))
    run(project, "dvc", "commit", "-q", "-f", "one")
    monkeypatch.chdir(project)
    found = recorded_version("table.txt")
    assert found is not None
    assert found.is_relative_to(tmp_path / "the cache")


def test_a_colleague_asks_only_for_what_is_new(tmp_path):
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    mine.mkdir()
    with served() as server:
        server.answer = lambda body: f" {body['seed']}"  # the table has it without the space, the journal with it
        write_params(mine, {"path": "m", "engine": "openai", "url": server.url})
        write_instructions(mine / "instructions.parquet", 100)
        stage = {
            "cmd": " ".join(generate_command("core")),
            "deps": ["instructions.parquet"],
            "outs": ["out/tiny.parquet", "out/tiny.rejected.parquet"],
        }
        (mine / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"generate-tiny": stage}}))
        (mine / ".gitignore").write_text(".holdfast\nout\n")
        git(mine, "init", "-q")
        run(mine, "dvc", "init", "-q")
        run(mine, "dvc", "remote", "add", "-q", "-d", "store", str(tmp_path / "store"))
        run(mine, "dvc", "repro", "-q")
        run(mine, "dvc", "push", "-q")
        git(mine, "add", "-A")
        git(mine, "commit", "-q", "-m", "built")
        assert sum(server.answered.values()) == 200

        git(tmp_path, "clone", "-q", "mine", "theirs")
        run(theirs, "dvc", "pull", "-q")
        before = pl.read_parquet(theirs / "out" / "tiny.parquet")
        write_instructions(theirs / "instructions.parquet", 110)
        said = run(theirs, "dvc", "repro")
        assert "200 answers taken from the version of out/tiny.parquet in DVC's cache" in said
        assert "220 rows done, 200 reused, 20 asked" in said
    assert sum(server.answered.values()) == 220
    after = pl.read_parquet(theirs / "out" / "tiny.parquet")
    assert after.filter(pl.col("candidate_id").is_in(before["candidate_id"].implode())).equals(before)
    assert len(after) == 220
    assert set(after["template_before"]) == {" "}
    assert after["response"].str.contains(r"^\d+$").all()
