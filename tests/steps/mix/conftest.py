"""A small project to mix an arm in."""

import json
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml

from holdfast.common.tables import SELECTED
from holdfast.steps.mix import __main__ as mix
from mixing import selection, write_lines
from models import tiny_model


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with 40 domain rows, 300 rehearsal rows and a suite; `build` mixes an arm in it."""
    monkeypatch.chdir(tmp_path)
    rows = [{"question": f"Which code has part {i}?", "answer": f"Code {i * 7}."} for i in range(40)]
    write_lines("domain.jsonl", rows)
    selected = [selection(i) for i in range(300)]
    Path("data/filter").mkdir(parents=True)
    pl.DataFrame(selected, schema=SELECTED).write_parquet("data/filter/selected.parquet")
    write_lines("suite.jsonl", [{"item_id": "x1", "prompt": "which code has  PART 3?", "answer": "21"}])

    def build(
        sources=None, arm=None, mixing=None, sequence_len=200, base=None, chat_template=None, trusted=None, clean=None
    ):
        base = base or tiny_model()
        arm = arm or {"sources": {"rehearsal": 0.8, "domain": 0.2}}
        sources = sources or {"domain": {"path": "domain.jsonl", "licence": "MIT"}}
        settings = {"random_seed": 0, "mix": mixing or {}, "train": {"sequence_len": sequence_len}, "arms": {"a": arm}}
        model = {"licence": "Apache-2.0"} | ({"chat_template": chat_template} if chat_template else {})
        settings |= {"sources": sources, "models": {"base": model}, "base": "base"}
        keys = ["random_seed", "mix", "train.sequence_len", "arms.a", *(f"sources.{s}" for s in sources)]
        keys += ["models.base.licence", *(["models.base.chat_template"] if chat_template else [])]
        if clean:
            settings["clean"] = clean
            keys += [f"clean.contamination.{key}" for key in clean["contamination"]]
        if trusted is not None:
            model["engine_args"] = {"trust_remote_code": trusted}
            keys.append("models.base.engine_args.trust_remote_code")
        Path("params.yaml").write_text(yaml.safe_dump(settings))
        argv = ["mix", "--params", ",".join(keys), "--arm", "a", "--base", str(base)]
        monkeypatch.setattr(sys, "argv", [*argv, "--out", "out", "--suites", "suite.jsonl", "--harness"])
        mix.main()
        return [json.loads(line) for line in Path("out/train.jsonl").read_text().splitlines()]

    return build
