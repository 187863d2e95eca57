"""The file of pairs is read by TRL and by Axolotl as it is, with the settings that the dataset card gives."""

import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from committees import THREE, choose, committee
from holdfast.common.files import write_table
from holdfast.common.tables import REJECTED_CANDIDATES, SELECTED
from holdfast.steps.preferences import __main__ as preferences
from models import tiny_model
from training import in_env

TRL = """
from datasets import load_dataset
from trl import DPOConfig, DPOTrainer
pairs = load_dataset("json", data_files="selected.jsonl", cache_dir="cache", split="train")
brief = DPOConfig(output_dir="trl", max_steps=2, per_device_train_batch_size=2, bf16=False, use_cpu=True, report_to=[])
trainer = DPOTrainer(model="base", train_dataset=pairs, args=brief)
trainer.train()
first, tokens = trainer.train_dataset[0], trainer.processing_class
print("TRL", trainer.state.global_step, *(repr(tokens.decode(first[f"{part}_ids"])) for part in PARTS))
""".replace("PARTS", "('prompt', 'chosen', 'rejected')")
AXOLOTL = """
from axolotl.cli.args import TrainerCliArgs
from axolotl.cli.config import load_cfg
from axolotl.common.datasets import load_preference_datasets
from axolotl.train import train
cfg = load_cfg("axolotl.yaml")
data = load_preference_datasets(cfg=cfg, cli_args=TrainerCliArgs())
first = {row["instruction_id"]: row for row in data.train_dataset}[INSTRUCTION]
_, _, trainer = train(cfg=cfg, dataset_meta=data)
print("AXOLOTL", trainer.state.global_step, *(repr(first[part]) for part in ("prompt", "chosen", "rejected")))
"""
BRIEF = {
    "base_model": "./base", "chat_template": "tokenizer_default", "output_dir": "axolotl", "dataset_prepared_path": "p",
    "max_steps": 2, "num_epochs": 1, "micro_batch_size": 2, "gradient_accumulation_steps": 1, "learning_rate": 0.001,
    "sequence_len": 512, "optimizer": "adamw_torch", "bf16": False, "fp16": False, "save_strategy": "no",
    "dataset_num_proc": 1, "dataloader_num_workers": 0, "attn_implementation": "sdpa",
}  # fmt: skip


@pytest.mark.engine
def test_both_trainers_learn_from_the_file_without_conversion(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_model(), "base")
    for table, name, schema in zip(
        choose(committee(8, ["a", "b"], 2, THREE)), ("kept", "others"), (SELECTED, REJECTED_CANDIDATES), strict=True
    ):
        write_table(table, f"{name}.parquet", schema)
    Path("params.yaml").write_text(yaml.safe_dump({"random_seed": 0, "preferences": {"selections": ["selected"]}}))
    paths = {"selected": "kept.parquet", "others": "others.parquet", "pairs": "selected.jsonl", "card": "card.md"}
    paths |= {"table": "selected.parquet", "rejected": "rejected.parquet", "selection": "selected"}
    words = [word for name, path in paths.items() for word in (f"--{name}", path)]
    monkeypatch.setattr(sys, "argv", ["preferences", "--params", "random_seed", *words])
    preferences.main()

    row = yaml.safe_load(Path("selected.jsonl").read_text().splitlines()[0])
    asked, better, worse = (row[part][0]["content"] for part in ("prompt", "chosen", "rejected"))
    prompt = f"<|bos|><|start|>user\n{asked}<|end|><|start|>assistant\n"
    learnt = [repr(text) for text in (prompt, f"{better}<|end|>", f"{worse}<|end|>")]
    done = in_env("training", "python", "-c", TRL, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"TRL 2 {' '.join(learnt)}" in done.stdout

    shown = re.search(r"```yaml\n(rl: dpo\n.*?)```", Path("card.md").read_text(), re.DOTALL)
    Path("axolotl.yaml").write_text(yaml.safe_dump(BRIEF | yaml.safe_load(shown[1])))
    script = AXOLOTL.replace("INSTRUCTION", repr(row["instruction_id"]))
    done = in_env("training", "python", "-c", script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"AXOLOTL 2 {' '.join(learnt)}" in done.stdout
