"""The project that the tests of the train step start from."""

import shutil
import sys
from pathlib import Path

import pytest
import yaml

from holdfast.steps.mix import __main__ as mix
from models import tiny_model
from training import RECIPE, TEMPLATE, write_sources


@pytest.fixture
def mixture(tmp_path, monkeypatch):
    """The folder of a project whose arm `forms` mixes a file of every form; the base model is the tiny one."""
    monkeypatch.chdir(tmp_path)
    sources = write_sources(tmp_path)
    arm = {"sources": dict.fromkeys(sources, 1.0), "budget": 70}
    settings = {
        "random_seed": 0,
        "base": "b",
        "mix": {"validation": 0.1},
        "train": RECIPE,
        "sources": sources,
        "arms": {"forms": arm},
    }
    Path("params.yaml").write_text(yaml.safe_dump(settings))
    shutil.copytree(tiny_model(), "base")
    Path("base/chat_template.jinja").write_text(TEMPLATE)
    keys = ",".join(["random_seed", "mix", "train.sequence_len", "arms.forms", *(f"sources.{s}" for s in sources)])
    argv = ["mix", "--params", keys, "--arm", "forms", "--base", "./base", "--out", "data/mix/forms"]
    monkeypatch.setattr(sys, "argv", [*argv, "--suites", "--harness"])
    mix.main()
    return tmp_path
