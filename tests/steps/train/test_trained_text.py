"""What Axolotl trains on is what the base model's template, or the user's own, renders."""

import json
import sys
from pathlib import Path

import pytest
import yaml

from holdfast.chat.template import Template, load_tokenizer
from holdfast.steps.mix import __main__ as mix
from holdfast.steps.mix import outputs
from training import TEMPLATE, finish, from_axolotl_config, make_recipe, start, turns

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
    seen = from_axolotl_config(mixture, RENDERED, 8)
    found = {eval(line[5:]) for line in seen if line.startswith("SEEN")}
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
    seen = from_axolotl_config(mixture, SPECIAL, 4)
    found = [json.loads(line[7:]) for line in seen if line.startswith("TOKENS ")]
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
