"""The recipe is checked against Axolotl's own schema before anything runs."""

import subprocess

import pytest
import yaml

from models import ROOT

CASES = """
import sys, yaml
from holdfast.steps.train.run_config import run_config
from holdfast.common.errors import UserError
from holdfast.steps.train.recipe import validate
for recipe in yaml.safe_load(sys.stdin):
    try:
        validate(run_config(recipe, "base", 0, 1, "t", "v", "w"), "x: ")
        print("FINE")
    except UserError as error:
        print("ERROR", str(error).replace("\\n", " | "))
"""


@pytest.mark.engine
def test_recipes_are_checked_against_axolotls_own_schema(tmp_path):
    good = {
        "sequence_len": 64,
        "micro_batch_size": 1,
        "learning_rate": 0.1,
        "num_epochs": 1,
        "bf16": False,
        "fp16": False,
    }
    good |= {"gradient_accumulation_steps": 1, "optimizer": "adamw_torch", "lr_scheduler": "cosine"}
    cases = {
        "FINE": {},
        "x: sequnce_len: Axolotl has no such key; did you mean sequence_len?": {"sequnce_len": 4},
        "x: fsdp_config.offload_param: Axolotl has no such key; did you mean offload_params?": {
            "fsdp_config": {"offload_param": True}
        },
        "x: sequence_len: Input should be a valid integer": {"sequence_len": "long"},
        "x: load_in_8bit and load_in_4bit are not supported without setting an adapter": {"load_in_4bit": True},
    }
    words = [ROOT / "envs" / "in-env", "training", "python", "-c", CASES]
    text = yaml.safe_dump([good | change for change in cases.values()])
    done = subprocess.run(words, input=text, cwd=tmp_path, capture_output=True, text=True, check=True)
    found = [line for line in done.stdout.splitlines() if line.startswith(("FINE", "ERROR"))]
    for line, expected in zip(found, cases, strict=True):
        assert expected in line
