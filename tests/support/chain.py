"""Inputs of a generate job on a tiny model, and how to run one: shared by the tests of steps that ask models."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from holdfast.common.ids import row_id
from holdfast.common.tables import INSTRUCTIONS
from models import ROOT
from small_tokenizers import tokenizer
from templates import SHAPES


def write_instructions(path: Path, count: int, start: int = 0, words: int = 1) -> pl.DataFrame:
    """A table of `count` distinct instructions."""
    texts = [f"Say {'very ' * (words - 1)}number {i}." for i in range(start, start + count)]
    frame = pl.DataFrame(
        {
            "instruction_id": [row_id("instruction", text) for text in texts],
            "instruction": texts,
            "prompt_id": "p",
            "finish_reason": "stop",
            "slice": "general",
            "language": None,
            "system": None,
            "rendering": None,
            "messages": [[{"role": "user", "content": text}] for text in texts],
            "count": 1,
            "tokens": 5,
        },
        schema=INSTRUCTIONS,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.sort("instruction_id").write_parquet(path)
    return frame


def write_params(folder: Path, model: dict[str, Any], samples: int = 2, base: str = "chatml", **sampling: Any) -> None:
    """params.yaml with one committee model, `tiny`, and a base model of this shape, of which there is the tokenizer."""
    chosen = {"temperature": 1.0, "top_p": 0.98, "max_tokens": 16} | sampling
    generate = {"samples": samples, "sampling": chosen, "models": {"tiny": {}}}
    params = {"random_seed": 0, "base": "base", "models": {"tiny": model}, "generate": generate}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    tokenizer(SHAPES[base]).save_pretrained(folder / "base_tokenizer")


def generate_command(environment: str = "inference") -> list[str]:
    """The generate job of model `tiny`, to be run in a folder with params.yaml and instructions.parquet."""
    keys = "random_seed,base,generate.samples,generate.sampling,generate.models.tiny,models.tiny"
    return [
        *[str(ROOT / "envs" / "in-env"), environment, "python", "-m", "holdfast.steps.generate", "--params", keys],
        *["--model", "tiny", "--base", "base_tokenizer", "--instructions", "instructions.parquet"],
        *["--generations", "out/tiny.parquet", "--rejected", "out/tiny.rejected.parquet"],
    ]


def generate(folder: Path, environment: str = "inference", **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the generate job and wait."""
    return subprocess.run(
        generate_command(environment), cwd=folder, env=os.environ | environ, capture_output=True, text=True, timeout=300
    )


def journal_rows(folder: Path) -> pl.DataFrame:
    """Everything that the journal under `folder` holds in sealed chunks and tails."""
    chunks = sorted(folder.glob(".holdfast/journal/*/*.parquet"))
    tails = [line for path in folder.glob(".holdfast/journal/*/*.tail") for line in path.read_text().splitlines()]
    rows = [json.loads(line[17:])[0] for line in tails]
    sealed = [pl.read_parquet(path)["key"].bin.encode("hex").to_list() for path in chunks]
    return pl.DataFrame({"key": [key for keys in [*sealed, rows] for key in keys]}, schema={"key": pl.String})


ASK = """
import json, os, sys
import polars as pl
from holdfast.common.errors import UserError
from holdfast.inference.ask import Request, ask
from holdfast.inference.params import Model, Sampling

def request(r):
    return Request(r["id"], tuple(r["prompt_ids"]) if "prompt_ids" in r else None,
                   tuple(map(tuple, r["messages"])) if "messages" in r else None, r.get("seed", 0),
                   Sampling(**r["sampling"]), tuple(r.get("stop_ids", ())), tuple(r.get("logprobs_of", ())),
                   r.get("own_logprob", False), r.get("stop_text"), None, r.get("answer_logprob", False))

for number, case in enumerate(json.load(open("asked.json"))):
    os.makedirs(str(number))
    os.chdir(str(number))
    os.environ.update(case.get("environ", {}))
    asked = [request(r) for r in case["requests"]]
    try:
        ask("tiny", Model(**case["model"]), asked, len(asked), step="test").collect().write_parquet("answers.parquet")
    except UserError as error:
        open("error", "w").write(str(error))
    for name in case.get("environ", {}):
        del os.environ[name]
    os.chdir("..")
"""


def ask_apart(folder: Path, cases: list[dict[str, Any]]) -> list[pl.DataFrame | str]:
    """Ask in one process of the inference environment, each case (model, requests, environ) with a journal of its own.

    Returns each case's answers, or what its UserError said.
    """
    (folder / "asked.json").write_text(json.dumps(cases))
    done = subprocess.run(
        [str(ROOT / "envs" / "in-env"), "inference", "python", "-c", ASK],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [
        (folder / str(n) / "error").read_text()
        if (folder / str(n) / "error").exists()
        else pl.read_parquet(folder / str(n) / "answers.parquet")
        for n in range(len(cases))
    ]
