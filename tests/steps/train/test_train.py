"""The train step: any form of data becomes a trained model, a killed run ends where an undisturbed one does."""

import json
import os
import signal
import time
from pathlib import Path

import polars as pl
import pytest
import yaml

from training import finish, from_axolotl_config, in_env, make_recipe, start

LABELS = """
import sys, yaml
from axolotl.cli.config import load_cfg
from axolotl.common.datasets import load_datasets
from axolotl.cli.args import TrainerCliArgs
from transformers import AutoModelForCausalLM, AutoTokenizer
cfg = load_cfg("axolotl.yaml")
tokenizer = AutoTokenizer.from_pretrained("models/forms")
for row in load_datasets(cfg=cfg, cli_args=TrainerCliArgs()).train_dataset:
    print("LEARNT", repr(tokenizer.decode([t for t, l in zip(row["input_ids"], row["labels"]) if l != -100])))
model = AutoModelForCausalLM.from_pretrained("models/forms", dtype="float32")
asked = [{"role": "user", "content": "Say 3"}]
ids = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_tensors="pt", return_dict=True)
out = model.generate(**ids, max_new_tokens=16, do_sample=False)
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer
print("DATASETS", load_dataset("data/mix/forms", cache_dir="cache")["train"].num_rows)
lines = load_dataset("json", data_files="data/mix/forms/train.jsonl", cache_dir="cache", split="train")
brief = SFTConfig(output_dir="trl", max_steps=2, per_device_train_batch_size=2, bf16=False, use_cpu=True, report_to=[])
trainer = SFTTrainer(model="models/forms", train_dataset=lines, args=brief)
trainer.train()
print("TRL", trainer.state.global_step)
print("TRANSFORMERS", repr(tokenizer.decode(out[0][ids["input_ids"].shape[1]:])))
"""
VLLM = """
from vllm import LLM, SamplingParams
llm = LLM("models/forms", dtype="float32", enforce_eager=True, enable_chunked_prefill=False, max_model_len=128, seed=0)
sampling = SamplingParams(temperature=0, max_tokens=16, skip_special_tokens=False)
out = llm.chat([{"role": "user", "content": "Say 3"}], sampling)
print("VLLM", repr(out[0].outputs[0].text))
"""


@pytest.mark.engine
def test_every_form_of_data_becomes_a_model_that_both_libraries_load(mixture):
    make_recipe(mixture, budget={"steps": 60})
    finish(start(mixture, "forms"), mixture)
    about = json.loads(Path("models/forms/holdfast.json").read_text())
    assert (about["steps"], about["equal"], about["rows"]) == (60, "steps", 63)
    curve = pl.read_csv("plots/forms.csv")
    losses = curve["loss"].drop_nulls()
    assert losses[-1] < losses[0] / 2
    assert curve["eval_loss"].drop_nulls().len() >= 2
    assert not list(Path(".holdfast/train").iterdir())  # nothing of the run is left
    base = Path("base/generation_config.json").read_text()
    assert Path("models/forms/generation_config.json").read_text() == base

    seen = from_axolotl_config(mixture, LABELS, 8)
    learnt = {eval(line[7:]) for line in seen if line.startswith("LEARNT")}
    rows = [json.loads(line) for line in Path("data/mix/forms/train.jsonl").read_text().splitlines()]
    plain = {row["messages"][1]["content"] + "<|end|>" for row in rows if row["source"] != "tools"}
    called = {f"<call>say n={n}</call><|end|><think>so I say it</think>{n} it is<|end|>" for n in range(50, 60)}
    assert learnt >= plain  # the assistant's turns with their ends
    assert learnt - plain <= called  # and nothing else
    assert len(learnt - plain) == sum(row["source"] == "tools" for row in rows)
    assert {"DATASETS 63", "TRL 2"} <= set(seen)
    (line,) = (line for line in seen if line.startswith("TRANSFORMERS"))
    again = in_env("inference", "python", "-c", VLLM, cwd=mixture)
    assert again.returncode == 0, again.stderr[-3000:]
    assert f"VLLM {line.split(' ', 1)[1]}" in again.stdout


@pytest.mark.engine
def test_a_killed_run_ends_where_an_undisturbed_one_does(mixture):
    make_recipe(mixture, adapter="lora", budget={"steps": 40}, checkpoints=8)
    finish(start(mixture, "forms"), mixture)
    undisturbed = {p.name: p.read_bytes() for p in Path("models/forms").rglob("*") if p.is_file()}
    assert {"adapter_model.safetensors", "adapter_config.json", "model.safetensors"} <= set(undisturbed)
    assert undisturbed["model.safetensors"] != Path("base/model.safetensors").read_bytes()

    process = start(mixture, "forms")
    while not list(Path(".holdfast/train").glob("forms-*/output/checkpoint-[12]*/trainer_state.json")):
        assert process.poll() is None, Path("log").read_text()[-3000:]
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(1)
    (output,) = Path(".holdfast/train").glob("forms-*/output")
    half = max(output.glob("checkpoint-*"), key=os.path.getmtime)
    (half / "trainer_state.json").write_text('{"global_st')  # as a full disk leaves it
    finish(start(mixture, "forms"), mixture)
    assert "resuming from step" in Path("log").read_text()
    again = {p.name: p.read_bytes() for p in Path("models/forms").rglob("*") if p.is_file()}
    assert again == undisturbed


@pytest.mark.engine
def test_a_run_takes_its_gpus_before_axolotl_starts(mixture, monkeypatch):
    make_recipe(mixture, budget={"steps": 2}, gpus=3)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert start(mixture, "forms").wait() == 1
    said = (mixture / "log").read_text()
    assert said.startswith("error: this job needs 3 GPUs (`gpus` in params.yaml), but can use 2 here; ")


@pytest.mark.engine
def test_an_arm_is_trained_with_its_own_settings_and_passes_over_its_domain_rows(mixture):
    """Half of the rows of `messages` are in the mixture twice: 3 passes over them are 2 epochs, of 9 batches each."""
    train = Path("data/mix/forms/train.jsonl")
    rows = [json.loads(line) for line in train.read_text().splitlines()]
    domain = [row for row in rows if row["source"] == "messages"][:8]
    rest = [row for row in rows if row["source"] != "messages"][:21]
    train.write_text("".join(json.dumps(row) + "\n" for row in [*domain, *domain[:4], *rest]))
    settings = yaml.safe_load(Path("params.yaml").read_text())
    own = {"adapter": "lora", "lora_r": 4, "budget": {"domain_epochs": 3.0}, "axolotl": {"weight_decay": 0.1}}
    settings["train"] |= {"budget": {"steps": 1000}, "axolotl": {"optimizer": "sgd"}}
    settings["mix"]["size_from"] = "messages"
    settings["arms"]["forms"]["train"] = own
    Path("params.yaml").write_text(yaml.safe_dump(settings))

    def recipe():
        words = ["-m", "holdfast.steps.train.recipe", "--params", "random_seed,train,mix.size_from,arms.forms.train"]
        words += ["--section", "arms.forms.train", "--base", "./base", "--recipe", "data/train/recipe.yaml"]
        return in_env("training", "python", *words, cwd=mixture)

    done = recipe()
    assert done.returncode == 0, done.stderr
    made = yaml.safe_load(Path("data/train/recipe.yaml").read_text())
    assert (made["adapter"], made["lora_r"], made["optimizer"], made["weight_decay"]) == ("lora", 4, "sgd", 0.1)
    finish(start(mixture, "forms"), mixture)
    about = json.loads(Path("models/forms/holdfast.json").read_text())
    assert (about["epochs"], about["steps"], about["equal"], about["adapter"]) == (2, 18, "domain_epochs", "lora")
    assert pl.read_csv("plots/forms.csv").select("step", "epoch").row(-1) == (18, 2.0)

    own["axolotl"] = {"weight_dekay": 0.1}
    Path("params.yaml").write_text(yaml.safe_dump(settings))
    faulty = "params.yaml: arms.forms.train.axolotl.weight_dekay: Axolotl has no such key; did you mean weight_decay?"
    assert faulty in recipe().stderr
