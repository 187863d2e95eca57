"""A project with sources of every form, and the jobs of the train step, run as Snakemake runs them."""

import json
import subprocess

import polars as pl
import yaml

from holdfast.steps.train.run_config import run_config
from models import ROOT

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


def in_env(name, *words, cwd):
    command = [ROOT / "envs" / "in-env", name, *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def make_recipe(project, *keys, **recipe):
    """Compose data/train/recipe.yaml with `train` changed by `recipe`; `keys` of params.yaml are declared as well."""
    settings = yaml.safe_load((project / "params.yaml").read_text()) | {"train": RECIPE | recipe}
    (project / "params.yaml").write_text(yaml.safe_dump(settings))
    declared = ",".join(["random_seed", "train", *keys])
    words = ["-m", "holdfast.steps.train.recipe", "--params", declared, "--section", "train", "--base", "./base"]
    done = in_env("training", "python", *words, "--recipe", "data/train/recipe.yaml", cwd=project)
    assert done.returncode == 0, done.stderr


def from_axolotl_config(project, script, rows):
    """The lines that `script` prints beside `axolotl.yaml`, that of a run on the `rows` rows of the mixture `forms`."""
    recipe = yaml.safe_load((project / "data/train/recipe.yaml").read_text())
    config = run_config(recipe, "./base", 0, rows, "data/mix/forms/train.jsonl", None, "again")
    (project / "axolotl.yaml").write_text(yaml.safe_dump(config))
    seen = in_env("training", "python", "-c", script, cwd=project)
    assert seen.returncode == 0, seen.stderr[-3000:]
    return seen.stdout.splitlines()


def start(project, run, *keys):
    """A running job of the train step, whose messages go to the file `log`."""
    words = [ROOT / "envs/in-env", "training", "python", "-m", "holdfast.steps.train"]
    words += ["--params", ",".join(["random_seed", "train", *keys]), "--run", run, "--base", "./base"]
    words += ["--recipe", "data/train/recipe.yaml", "--model", f"models/{run}", "--curve", f"plots/{run}.csv"]
    words += ["--train", "data/mix/forms/train.jsonl", "--val", "data/mix/forms/val.jsonl"]
    with (project / "log").open("w") as log:
        return subprocess.Popen(words, cwd=project, stdout=log, stderr=log)


def finish(process, project):
    process.wait()
    assert process.returncode == 0, (project / "log").read_text()[-3000:]
