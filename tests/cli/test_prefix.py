"""`holdfast prefix`, as a user runs it: a folder with a tokenizer only."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from holdfast.cli import main
from holdfast.cli.prefix import visible
from small_tokenizers import tokenizer
from templates import SHAPES

Prefix = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text("base: mine\nmodels: {mine: {path: model}}\n")
    tokenizer(SHAPES["llama3_dated"]).save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "generation_config.json").write_text('{"eos_token_id": [1, 0]}')
    tokenizer(SHAPES["no_template"]).save_pretrained(tmp_path / "plain")
    (tmp_path / "below").mkdir()
    return tmp_path


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def prefix(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """The command in this process: its libraries take a second to import."""

    def run(folder: Path, *words: str) -> Done:
        monkeypatch.chdir(folder)
        status = main(["prefix", *words])
        return Done(status, *capsys.readouterr())

    return run


def own_process(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "holdfast.cli", "prefix", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "HF_HUB_OFFLINE": "1"},
    )


def test_json_has_the_fields(project: Path) -> None:
    done = own_process(project, "model", "--json", "--date", "2024-03-05")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    shape = SHAPES["llama3_dated"]
    assert found["prefix_text"] == shape.prefix
    assert found["assistant_text"] == shape.assistant
    assert found["prefix_ids"][0] == 0
    assert len(found["stop_ids"]) == 3  # the end of the turn, and both ends of a sequence
    assert found["stop_ids"][1:] == [1, 0]


def test_for_a_person_white_space_is_visible(prefix: Prefix, project: Path) -> None:
    done = prefix(project, "mine", "--system", "Be brief.", "--date", "2024-03-05")
    assert done.returncode == 0, done.stderr
    assert "⏎⏎Be brief.<|eot_id|><|start_header_id|>user<|end_header_id|>⏎⏎\n" in done.stdout
    assert "sample" not in done.stdout  # there are no weights
    assert "<s>(0) <|start_header_id|>(" in done.stdout
    assert visible("  a b \n") == "␣␣a b ⏎"
    assert visible("  ") == "␣␣"


def test_no_environment_is_built_for_samples(prefix: Prefix, project: Path) -> None:
    """Samples are drawn only where the environment is there: it is asked for, not made."""
    (project / "model" / "model.safetensors").write_bytes(b"weights")
    (project / "envs").mkdir()
    launcher = project / "envs" / "in-env"
    launcher.write_text('#!/bin/sh\necho "$@" >> asked.txt\nexit 1\n')
    launcher.chmod(0o755)
    done = prefix(project, "mine")
    assert done.returncode == 0, done.stderr
    assert (project / "asked.txt").read_text() == "--built inference\n"
    assert "sample" not in done.stdout


def test_long_system_prompts_are_folded_and_notes_are_said(prefix: Prefix, project: Path) -> None:
    shape = SHAPES["chatml"]._replace(
        template=SHAPES["chatml"].template.replace("m.content", "m.content | replace('\t', ' ')")
    )
    tokenizer(shape).save_pretrained(project / "tabs")
    system = "Be kind. " * 500
    done = prefix(project, "tabs", "--system", system)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) < 500
    assert lines[0].startswith("prefix      <|im_start|>system⏎Be kind.")
    assert " more characters (--json shows all) … " in lines[0]
    assert lines[0].endswith("<|im_start|>user⏎")
    assert " more tokens …" in lines[1]
    assert any(line.startswith("note        the chat template changes tabs in the user's text") for line in lines)
    found = json.loads(prefix(project, "tabs", "--system", system, "--json").stdout)
    assert system in found["prefix_text"]
    assert len(found["prefix_tokens"]) == len(found["prefix_ids"])
    assert len(found["notes"]) == 1


def test_a_wrong_template_is_named_with_its_line(prefix: Prefix, project: Path) -> None:
    tokenizer(SHAPES["syntax_error"]).save_pretrained(project / "wrong")
    done = prefix(project, "wrong")
    assert done.returncode == 1
    assert "the chat template is not valid Jinja: line 2: " in done.stderr
    assert "seed.prefix" in done.stderr


def test_a_path_counts_from_where_the_user_stands(prefix: Prefix, project: Path) -> None:
    done = prefix(project / "below", "../model", "--json")
    assert done.returncode == 0, done.stderr


def test_no_template_is_refused_with_the_way_out(project: Path) -> None:
    assert "no chat template" in json.loads(own_process(project, "plain", "--json").stdout)["refused"]
    done = own_process(project, "plain")
    assert done.returncode == 1
    assert "seed.examples" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_base_model_without_a_template_continues_examples(prefix: Prefix, project: Path) -> None:
    rows = "".join(json.dumps({"instruction": f"Say {n}."}) + "\n" for n in range(9))
    (project / "mine.jsonl").write_text(rows)
    params = "base: bare\nmodels: {bare: {path: plain}}\nseed: {examples: mine.jsonl, examples_per_prompt: 2}\n"
    (project / "params.yaml").write_text(params)
    done = prefix(project, "bare")
    assert done.returncode == 0, done.stderr
    first = done.stdout.splitlines()[0]
    assert first.endswith("Say 0.⏎⏎### Instruction:⏎Say 1.⏎⏎### Instruction:⏎")
    assert "note        the model has no chat template: it continues 2 examples of mine.jsonl" in done.stdout


@pytest.mark.parametrize("words", [["./missing"], ["below"], ["model", "--option", "x"]])
def test_bad_input_is_one_message(prefix: Prefix, project: Path, words: list[str]) -> None:
    done = prefix(project, *words)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_code_that_comes_with_a_tokenizer_does_not_run(prefix: Prefix, project: Path) -> None:
    settings = project / "model" / "tokenizer_config.json"
    wanted = {"tokenizer_class": "Theirs", "auto_map": {"AutoTokenizer": ["theirs.Theirs", None]}}
    settings.write_text(json.dumps(json.loads(settings.read_text()) | wanted))
    (project / "model" / "theirs.py").write_text("open('ran', 'w')\nclass Theirs: pass\n")
    done = prefix(project, "model", "--json")
    assert done.returncode == 1
    assert "custom code" in done.stderr
    assert not (project / "ran").exists()
