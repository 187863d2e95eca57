"""A branch of a Hugging Face repository may move while a job runs: what was fingerprinted is what is loaded."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from models import ROOT, tiny_model

pytestmark = pytest.mark.engine
OLD, NEW = "a" * 40, "b" * 40


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """HF_HOME with two commits of `org/tiny`, each with other weights and another chat template."""
    home = tmp_path_factory.mktemp("hub")
    repository = home / "hub" / "models--org--tiny"
    for seed, commit in enumerate((OLD, NEW)):
        snapshot = Path(shutil.copytree(tiny_model(seed=seed), repository / "snapshots" / commit))
        template = snapshot / "chat_template.jinja"
        template.write_text(template.read_text().replace("<|start|>", f"<|start|>{commit[0]}"))
    (repository / "refs").mkdir()
    return home


def run(hub: Path, folder: Path, code: str, *words: str, environment: str = "inference") -> Any:
    """What the last line on standard output of some code says, as JSON, where `main` is the old commit at first."""
    ref = hub / "hub" / "models--org--tiny" / "refs" / "main"
    ref.write_text(OLD)
    command = [ROOT / "envs" / "in-env", environment, "python", "-c", code, ref, NEW, *words]
    given = os.environ | {"HF_HOME": str(hub), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


MOVED = """
import json, sys
from pathlib import Path
ref, new, *words = sys.argv[1:]

def move():  # as when somebody pushes to the repository
    Path(ref).write_text(new)
"""

ASK = """
from holdfast.inference.ask import ask
from holdfast.inference.params import Model, Sampling
from holdfast.inference.request import Request

def requests(moved):
    if moved:  # `ask` has made its fingerprint by the time it takes the first request
        move()
    for text in ("Hi", "What?"):
        yield Request(text, None, (("user", text),), 0, Sampling(temperature=0.0, max_tokens=12))

found = []
for path, moved in [("org/tiny", True), *((word, False) for word in words[1:])]:
    model = Model(path=path, engine=words[0], engine_args={"max_model_len": 256, "dtype": "float32"})
    found.append(ask("m", model, requests(moved), 2, step="test").collect()["text"].to_list())
print(json.dumps(found))
"""


@pytest.mark.parametrize("engine", ["vllm", "transformers"])
def test_an_engine_loads_the_commit_that_was_fingerprinted(hub: Path, tmp_path: Path, engine: str) -> None:
    folders = [str(hub / "hub" / "models--org--tiny" / "snapshots" / commit) for commit in (OLD, NEW)]
    found, old, new = run(hub, tmp_path, MOVED + ASK, engine, *folders)
    assert old != new
    assert found == old


LOAD = """
from holdfast.chat.template import load_tokenizer
from holdfast.inference.model_files import pinned, pinned_loading
from holdfast.inference.params import Model
from holdfast.steps.evaluate.harness import chat_tokenizer, loading

given, model = pinned_loading("base", "org/tiny"), pinned("m", Model(path="org/tiny"))
move()
from lm_eval.api.registry import get_model
harness = get_model("hf").create_from_arg_obj(loading(model, False) | {"tokenizer": chat_tokenizer(model)})
templates = [load_tokenizer("org/tiny", **given).chat_template, harness.tokenizer.chat_template]
print(json.dumps([*templates, harness.model.config._commit_hash]))
"""


def test_the_tokenizer_and_the_harness_are_of_the_same_commit(hub: Path, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("base: base\n")
    *templates, weights = run(hub, tmp_path, MOVED + LOAD)
    assert all("<|start|>a" in template for template in templates)
    assert weights == OLD


TOKENIZER = """
from holdfast.inference.engines.renderer import Renderer
from holdfast.inference.fingerprint import fingerprint
from holdfast.inference.model_files import pinned
from holdfast.inference.params import Model
model = Model(path=words[0], engine_args={"tokenizer": "org/tiny"})
given, before = pinned("m", model), fingerprint("m", model)
same = fingerprint("m", given) == before
move()
found = [Renderer.of("m", given).tokenizer.chat_template, fingerprint("m", given), fingerprint("m", model)]
print(json.dumps([same, *found, before]))
"""


def test_a_tokenizer_of_another_repository_has_a_commit_too(hub: Path, tmp_path: Path) -> None:
    same, template, pinned, moved, before = run(hub, tmp_path, MOVED + TOKENIZER, str(tiny_model()))
    assert same
    assert "<|start|>a" in template
    assert pinned == before
    assert moved != before


TOKENIZER_ON_VLLM = """
from holdfast.inference.ask import ask
from holdfast.inference.params import Model, Sampling
from holdfast.inference.request import Request

def requests():
    move()  # `ask` has pinned the commit by now
    yield Request("x", None, (("user", "Hi"),), 0, Sampling(temperature=0.0, max_tokens=12))

engine_args = {"tokenizer": "org/tiny", "max_model_len": 256, "dtype": "float32"}
answers = ask("m", Model(path=words[0], engine_args=engine_args), requests(), 1, step="test").collect()
print(json.dumps(answers["error"].to_list()))
"""


def test_vllm_loads_a_tokenizer_of_another_repository(hub: Path, tmp_path: Path) -> None:
    assert run(hub, tmp_path, MOVED + TOKENIZER_ON_VLLM, str(tiny_model())) == [None]


PREFIX = """
import argparse
from holdfast.chat import prequery
from holdfast.cli import prefix

def derive(*args):
    move()
    return prequery.derive(*args)

prefix.derive = derive
parser = argparse.ArgumentParser()
prefix.command(parser.add_subparsers())
asked = parser.parse_args(["prefix", "org/tiny", "--samples", "1"])
asked.run(asked)
print(json.dumps([json.loads(file.read_text())["revision"] for file in Path(".holdfast/journal").glob("*/model.json")]))
"""


def test_a_prefix_and_its_samples_are_of_the_same_commit(hub: Path, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("base: base\n")
    (tmp_path / "envs").symlink_to(ROOT / "envs")
    assert run(hub, tmp_path, MOVED + PREFIX) == [OLD]


RECIPE = """
import runpy
sys.argv[1:] = ["--params", "random_seed,train", "--section", "train", "--base", "org/tiny", "--recipe", "recipe.yaml"]
runpy.run_module("holdfast.steps.train.recipe", run_name="__main__", alter_sys=True)
print(json.dumps(None))
"""


def test_training_is_told_the_commit(hub: Path, tmp_path: Path) -> None:
    train = {"sequence_len": 128, "learning_rate": 0.01, "precision": "float32", "budget": {"steps": 1}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"random_seed": 0, "base": "b", "train": train}))
    run(hub, tmp_path, MOVED + RECIPE, environment="training")
    assert yaml.safe_load((tmp_path / "recipe.yaml").read_text())["revision_of_model"] == OLD
