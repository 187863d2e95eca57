"""Preference training with Axolotl on a tiny model: what is learned, and that a killed run ends like any other."""

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import polars as pl
import pytest
import yaml

from holdfast.common.files import scan_table
from holdfast.steps.train.dpo.pairs import REJECTED
from models import ROOT, tiny_model
from training import RECIPE, finish, in_env

pytestmark = pytest.mark.engine
MARGINS = """
import json, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
def gains(folder):
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    for line in open("pairs.jsonl"):
        row = json.loads(line)
        asked = tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True, return_dict=False)
        found = []
        for side in ("chosen", "rejected"):
            ids = tokenizer.apply_chat_template(row["prompt"] + row[side], return_dict=False)
            loss = model(torch.tensor([ids]), labels=torch.tensor([[-100] * len(asked) + ids[len(asked):]])).loss
            found.append(-loss.item() * (len(ids) - len(asked)))
        yield found[0] - found[1]
print("PREFERRED", sum(after > before for before, after in zip(gains("models/start"), gains("models/aligned"))))
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A trained model, and 24 pairs: yes is better than no. One more spells a control token."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_model(), "models/start")
    Path("models/start/generation_config.json").write_text('{"eos_token_id": [3, 4]}')
    arm = {"preferences": {"arm": "start", "selection": "selected"}}
    arm["train"] = {"learning_rate": 0.001, "budget": {"epochs": 5}, "checkpoints": 6, "axolotl": {"rl_beta": 0.3}}
    shared = RECIPE | {"packing": True, "axolotl": {"weight_decay": 0.01}}
    settings = {"random_seed": 0, "base": "b", "models": {"b": {"path": "./models/start"}}, "train": shared}
    Path("params.yaml").write_text(yaml.safe_dump(settings | {"arms": {"aligned": arm}}))
    lines = []
    for number, word in enumerate([*map(str, range(24)), "<|end|>"]):
        sides = {"prompt": ("user", f"Is it {word}?"), "chosen": ("assistant", "yes"), "rejected": ("assistant", "no")}
        row = {side: [{"role": role, "content": text}] for side, (role, text) in sides.items()}
        lines.append(json.dumps({"instruction_id": str(number), "tools": None} | row))
    Path("pairs.jsonl").write_text("\n".join(lines) + "\n")
    words = ["-m", "holdfast.steps.train.dpo.recipe", "--params", "random_seed,train,arms.aligned.train"]
    words += ["--section", "arms.aligned.train", "--base", "./models/start", "--recipe", "recipe.yaml"]
    done = in_env("training", "python", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path


def start(project):
    words = [ROOT / "envs/in-env", "training", "python", "-m", "holdfast.steps.train.dpo", "--run", "aligned"]
    words += ["--params", "random_seed,arms.aligned.preferences", "--recipe", "recipe.yaml", "--pairs", "pairs.jsonl"]
    words += ["--start", "models/start", "--model", "models/aligned", "--curve", "curve.csv"]
    words += ["--rejected", "rejected.parquet", "--summary", "summary.json"]
    with (project / "log").open("w") as log:
        return subprocess.Popen(words, cwd=project, stdout=log, stderr=log)


def content(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_chosen_answers_gain_over_rejected_ones_and_a_killed_run_ends_like_an_undisturbed_one(project):
    recipe = yaml.safe_load(Path("recipe.yaml").read_text())
    assert (recipe["rl"], recipe["rl_beta"], recipe["weight_decay"]) == ("dpo", 0.3, 0.01)
    finish(start(project), project)
    undisturbed = content("models/aligned")
    about, found = (json.loads(Path(file).read_text()) for file in ("models/aligned/holdfast.json", "summary.json"))
    assert (about["steps"], about["epochs"], about["pairs"], about["start"]) == (30, 5, 24, "models/start")
    assert found["accuracies"] > 0.9
    assert pl.read_csv("curve.csv")["loss"].drop_nulls()[-1] < 0.6  # it begins at ln 2
    assert scan_table("rejected.parquet", REJECTED).collect()["reason"].to_list() == ["control_token"]
    begun = content("models/start")
    assert undisturbed["model.safetensors"] != begun["model.safetensors"]
    same = ("generation_config.json", "chat_template.jinja", "tokenizer.json")
    assert {name: undisturbed[name] for name in same} == {name: begun[name] for name in same}
    seen = in_env("training", "python", "-c", MARGINS, cwd=project)
    assert int(seen.stdout.split("PREFERRED")[1]) >= 23, seen.stderr[-3000:]

    process = start(project)
    while not list(Path(".holdfast/train").glob("aligned-*/output/checkpoint-[12]*/trainer_state.json")):
        assert process.poll() is None, Path("log").read_text()[-3000:]
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(1)
    finish(start(project), project)
    assert "resuming from step" in Path("log").read_text()
    assert content("models/aligned") == undisturbed
