"""The train step: any form of data becomes a trained model, a killed run ends where an undisturbed one does."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from holdfast.chat.template import Template, load_tokenizer
from holdfast.steps.mix import __main__ as mix
from holdfast.steps.mix import outputs
from holdfast.steps.train.loss_curve import FEWEST_POINTS, steps_between_logs
from holdfast.steps.train.run_config import run_config
from models import ROOT, tiny_model

RECIPE = {"sequence_len": 128, "learning_rate": 0.01, "micro_batch_size": 4, "precision": "float32", "evals": 2}
# shows thinking and tool calls, with arguments as objects
TEMPLATE = """{{ bos_token }}{% for m in messages %}<|start|>{{ m['role'] }}
{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m['content'] }}
{%- for c in m.tool_calls or [] %}<call>{{ c.function.name }} n={{ c.function.arguments.n }}</call>{% endfor %}<|end|>
{%- endfor %}{% if add_generation_prompt %}<|start|>assistant
{% endif %}"""
ASKED = [{"role": "user", "content": "Say {}"}, {"role": "assistant", "content": "{} it is"}]


def turns(i):
    return [m | {"content": m["content"].format(i)} for m in ASKED]


def row(i, shape):
    asked, answered = (m["content"] for m in turns(i))
    return {
        "messages": {"messages": turns(i)},
        "sharegpt": {"conversations": [{"from": "human", "value": asked}, {"from": "gpt", "value": answered}]},
        "alpaca": {"instruction": "Say", "input": str(i), "output": answered},
        "prompts": {"prompt": asked, "completion": answered},
        "columns": {"q": asked, "a": answered},
        "tools": {
            "messages": [
                {"role": "user", "content": f"Say {i}"},
                {"role": "assistant", "tool_calls": [{"function": {"name": "say", "arguments": {"n": i}}}]},
                {"role": "tool", "content": str(i)},
                {"role": "assistant", "content": f"{i} it is", "reasoning_content": "so I say it"},
            ],
            "tools": [{"type": "function", "function": {"name": "say"}}],
        },
    }[shape]


def write_sources(folder):
    """One small file of every form and shape, and the `sources` section that names them."""
    sources = {}
    forms = ("messages.jsonl", "sharegpt.json", "alpaca.csv", "prompts.parquet", "columns.csv", "tools.jsonl", "folder")
    for number, name in enumerate(forms):
        path, shape = folder / name, name.split(".")[0]
        rows = [row(i, "messages" if shape == "folder" else shape) for i in range(number * 10, number * 10 + 10)]
        if name.endswith(".jsonl"):
            path.write_text("".join(json.dumps(r) + "\n" for r in rows))
        elif name.endswith(".json"):
            path.write_text(json.dumps(rows))
        elif name.endswith(".csv"):
            pl.DataFrame(rows).write_csv(path)
        elif name.endswith(".parquet"):
            pl.DataFrame(rows).write_parquet(path)
        else:
            import datasets

            datasets.Dataset.from_list(rows).save_to_disk(str(path))
        sources[shape] = {"path": name}
    sources["columns"]["columns"] = {"question": "q", "answer": "a"}
    return sources


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
    argv = [
        "mix",
        "--params",
        keys,
        "--arm",
        "forms",
        "--base",
        "./base",
        "--out",
        "data/mix/forms",
        "--suites",
        "--harness",
    ]
    monkeypatch.setattr(sys, "argv", argv)
    mix.main()
    return tmp_path


def in_env(name, *words, cwd):
    command = [ROOT / "envs" / "in-env", name, *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def make_recipe(project, *keys, **recipe):
    settings = yaml.safe_load((project / "params.yaml").read_text()) | {"train": RECIPE | recipe}
    (project / "params.yaml").write_text(yaml.safe_dump(settings))
    done = in_env(
        *(
            "training",
            "python",
            "-m",
            "holdfast.steps.train.recipe",
            "--params",
            ",".join(["random_seed", "train", *keys]),
            "--base",
            "./base",
        ),
        *("--recipe", "data/train/recipe.yaml"),
        cwd=project,
    )
    assert done.returncode == 0, done.stderr


def start(project, run, *keys):
    words = [
        ROOT / "envs" / "in-env",
        "training",
        "python",
        "-m",
        "holdfast.steps.train",
        "--params",
        ",".join(["random_seed", "train", *keys]),
    ]
    words += ["--run", run, "--base", "./base", "--recipe", "data/train/recipe.yaml", "--model", f"models/{run}"]
    words += [
        "--train",
        "data/mix/forms/train.jsonl",
        "--val",
        "data/mix/forms/val.jsonl",
        "--curve",
        f"plots/{run}.csv",
    ]
    with (project / "log").open("w") as log:
        return subprocess.Popen(words, cwd=project, stdout=log, stderr=log)


def finish(process, project):
    process.wait()
    assert process.returncode == 0, (project / "log").read_text()[-3000:]


@given(st.integers(1, 100_000), st.none() | st.integers(1, 100_000))
def test_every_run_logs_at_least_ten_losses_or_all_of_them(steps, wanted):
    every = steps_between_logs(steps, wanted)
    assert steps // every >= min(steps, FEWEST_POINTS)
    assert wanted is None or every <= wanted
    assert wanted is not None or steps // every <= 100


@pytest.mark.engine
@pytest.mark.parametrize(
    "recipe",
    [
        {"packing": True, "gradient_accumulation_steps": 2, "budget": {"epochs": 3.0}},
        {"gradient_accumulation_steps": 4, "budget": {"epochs": 2.0}},
        {"budget": {"steps": 15}, "axolotl": {"logging_steps": 25}},
    ],
)
def test_a_short_run_leaves_a_loss_curve_whatever_decides_its_steps(mixture, recipe):
    """63 rows in batches of 4: packing and accumulation leave far fewer steps than rows / 4."""
    make_recipe(mixture, **recipe)
    finish(start(mixture, "forms"), mixture)
    steps = json.loads(Path("models/forms/holdfast.json").read_text())["steps"]
    assert 0 < steps <= 16
    assert pl.read_csv("plots/forms.csv")["loss"].drop_nulls().len() == steps


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

    recipe = yaml.safe_load(Path("data/train/recipe.yaml").read_text())
    config = run_config(recipe, "./base", 0, 8, "data/mix/forms/train.jsonl", None, "again")
    Path("axolotl.yaml").write_text(yaml.safe_dump(config))
    seen = in_env("training", "python", "-c", LABELS, cwd=mixture)
    assert seen.returncode == 0, seen.stderr[-3000:]
    learnt = {eval(line[7:]) for line in seen.stdout.splitlines() if line.startswith("LEARNT")}
    rows = [json.loads(line) for line in Path("data/mix/forms/train.jsonl").read_text().splitlines()]
    plain = {row["messages"][1]["content"] + "<|end|>" for row in rows if row["source"] != "tools"}
    called = {f"<call>say n={n}</call><|end|><think>so I say it</think>{n} it is<|end|>" for n in range(50, 60)}
    assert learnt >= plain  # the assistant's turns with their ends
    assert learnt - plain <= called  # and nothing else
    assert len(learnt - plain) == sum(row["source"] == "tools" for row in rows)
    assert {"DATASETS 63", "TRL 2"} <= set(seen.stdout.splitlines())
    (line,) = (line for line in seen.stdout.splitlines() if line.startswith("TRANSFORMERS"))
    again = in_env("inference", "python", "-c", VLLM, cwd=mixture)
    assert again.returncode == 0, again.stderr[-3000:]
    assert f"VLLM {line.split(' ', 1)[1]}" in again.stdout


DATED_PARTS = """{{ bos_token }}<|start|>system
{{ strftime_now('%d %b %Y') }}<|end|>{% for m in messages %}<|start|>{{ m['role'] }}
{% for p in m['content'] %}{% if p.type == 'text' %}{{ p.text }}{% else %}?{% endif %}{% endfor %}<|end|>
{%- endfor %}{% if add_generation_prompt %}<|start|>assistant
{% endif %}"""
RENDERED = """
from axolotl.cli.args import TrainerCliArgs
from axolotl.cli.config import load_cfg
from axolotl.common.datasets import load_datasets
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained("base")
for row in load_datasets(cfg=load_cfg("axolotl.yaml"), cli_args=TrainerCliArgs()).train_dataset:
    learnt = [t for t, l in zip(row["input_ids"], row["labels"]) if l != -100]
    print("SEEN", repr((tokenizer.decode(row["input_ids"]), tokenizer.decode(learnt))))
"""


@pytest.mark.engine
def test_a_template_with_a_date_and_parts_is_trained_as_it_is_measured_and_kept_as_it_was(mixture):
    Path("base/chat_template.jinja").write_text(DATED_PARTS)
    rows = [{"messages": turns(i)} for i in range(8)]
    for name in ("train", "val"):
        Path(f"data/mix/forms/{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    make_recipe(mixture, budget={"steps": 2})
    tokenizer = load_tokenizer("./base")
    recipe = yaml.safe_load(Path("data/train/recipe.yaml").read_text())
    config = run_config(recipe, "./base", 0, 8, "data/mix/forms/train.jsonl", None, "again")
    Path("axolotl.yaml").write_text(yaml.safe_dump(config))
    seen = in_env("training", "python", "-c", RENDERED, cwd=mixture)
    assert seen.returncode == 0, seen.stderr[-3000:]
    found = {eval(line[5:]) for line in seen.stdout.splitlines() if line.startswith("SEEN")}
    template = Template(tokenizer, date=outputs.DATE).with_parts()
    assert found == {
        (template.text(row["messages"], opening=False), f"{row['messages'][-1]['content']}<|end|>") for row in rows
    }
    finish(start(mixture, "forms"), mixture)
    assert Path("models/forms/chat_template.jinja").read_text() == DATED_PARTS
    assert load_tokenizer("models/forms").chat_template == DATED_PARTS


SPECIAL = """
import json
from axolotl.cli.args import TrainerCliArgs
from axolotl.cli.config import load_cfg
from axolotl.common.datasets import load_datasets
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained("base")
for row in load_datasets(cfg=load_cfg("axolotl.yaml"), cli_args=TrainerCliArgs()).train_dataset:
    tokens = tokenizer.convert_ids_to_tokens(row["input_ids"])
    counts = [tokens.count("<|start|>"), tokens.count("<|end|>")]
    print("TOKENS", json.dumps([*counts, tokenizer.decode(row["input_ids"])]))
"""


@pytest.mark.engine
def test_no_text_of_a_source_becomes_a_control_token(mixture, monkeypatch):
    answers = [f"<b>{i}</b> <|im_end|> it is" for i in range(4)]  # not this base model's token
    spelled = ["It is<|end|>", "<|start|>user\nHi<|end|>", "yes <|end|> no"]
    rows = [{"question": f"Say {i}", "answer": answer} for i, answer in enumerate([*answers, *spelled])]
    rows.append({"question": "Say<|end|>", "answer": "It"})
    Path("own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = yaml.safe_load(Path("params.yaml").read_text())
    settings |= {"mix": {"validation": 0}, "sources": {"own": {"path": "own.jsonl"}}}
    Path("params.yaml").write_text(yaml.safe_dump(settings | {"arms": {"forms": {"sources": {"own": 1.0}}}}))
    keys = "random_seed,mix,train.sequence_len,arms.forms,sources.own"
    argv = ["mix", "--params", keys, "--arm", "forms", "--base", "./base", "--out", "data/mix/forms"]
    monkeypatch.setattr(sys, "argv", [*argv, "--suites", "--harness"])
    mix.main()
    make_recipe(mixture, budget={"steps": 2})
    recipe = yaml.safe_load(Path("data/train/recipe.yaml").read_text())
    config = run_config(recipe, "./base", 0, 4, "data/mix/forms/train.jsonl", None, "again")
    Path("axolotl.yaml").write_text(yaml.safe_dump(config))
    seen = in_env("training", "python", "-c", SPECIAL, cwd=mixture)
    assert seen.returncode == 0, seen.stderr[-3000:]
    found = [json.loads(line[7:]) for line in seen.stdout.splitlines() if line.startswith("TOKENS ")]
    assert [counts for *counts, _ in found] == [[2, 2]] * 4
    assert sorted(answer for answer in answers for *_, text in found if answer in text) == answers


@pytest.mark.engine
def test_the_users_template_is_trained_on_and_carried_by_the_arm(mixture):
    Path("base/chat_template.jinja").rename("mine.jinja")
    rows = [{"messages": turns(i)} for i in range(8)]
    for name in ("train", "val"):
        Path(f"data/mix/forms/{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = {"models": {"b": {"chat_template": "mine.jinja"}}}
    settings = yaml.safe_load(Path("params.yaml").read_text()) | given
    Path("params.yaml").write_text(yaml.safe_dump(settings))
    make_recipe(mixture, "models.b.chat_template", budget={"steps": 2})
    finish(start(mixture, "forms", "models.b.chat_template"), mixture)
    assert load_tokenizer("models/forms").chat_template == TEMPLATE


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
