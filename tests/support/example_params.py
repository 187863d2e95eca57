"""Whole parameter files for tests: one with every optional key, one with none, and the input files that they name."""

import json
import shutil
from pathlib import Path
from typing import Any

import yaml

from full_params import LEFT_OUT, filled
from holdfast.params.schema import Params
from small_tokenizers import tokenizer
from templates import SHAPES
from toy_project import ROOT

EXCLUDED = {  # by another key that is set, or by having one valid value beside the others
    "seed.prefix", "filter.selected.min_judges", "filter.selected.same_language", "sources.domain.selection",
    "sources.domain.format", "sources.domain.shape", "sources.domain.slices", "sources.rehearsal.path",
    "sources.rehearsal.columns", "sources.rehearsal.format", "sources.rehearsal.shape", "sources.rehearsal.slices",
    "sources.domain.probe", "sources.rehearsal.clusters",
    "arms.both.budget", "arms.domain_only.size_from", "arms.domain_only.train", "train.budget.epochs",
    "train.budget.domain_epochs", "train.config", "train.merge",
    "evaluate.suites.general.measures",
}  # fmt: skip


def full() -> dict[str, Any]:
    """Every optional key with another value than its default, but those that exclude one another."""
    shipped = yaml.safe_load((ROOT / "params.yaml").read_text())
    model = {
        "path": "models/sandbox/scholar", "engine": "transformers", "engine_args": {"dtype": "float32"},
        "chat_template": "mine.jinja", "policy": ["outputs_may_train", "x"], "licence": "MIT", "gpus": 1,
        "resources": {"mem_mb": 9000},
    }  # fmt: skip
    base = model | {"path": "./base", "engine_args": {"dtype": "float32", "trust_remote_code": True}}
    models = {"base": base, "scholar": model, "novice": model | {"path": "models/sandbox/novice"}}
    source = {"format": LEFT_OUT, "shape": LEFT_OUT, "columns": {"messages": "messages"}, "split": "test",
              "probe": LEFT_OUT,
              "slices": LEFT_OUT, "selection": LEFT_OUT, "policy": ["outputs_may_train"], "licence": "MIT"}  # fmt: skip
    suites = {
        name: suite | {"max_tokens": 7, "measures": "domain"} for name, suite in shipped["evaluate"]["suites"].items()
    }
    suites["general"]["measures"] = "general"
    suites["style"] = {"kind": "judge", "path": "data/sandbox/general.jsonl", "judge": "scholar",
                       "rubric": "data/seed/rubric.md", "measures": "domain"}  # fmt: skip
    suites["harness"] = {"kind": "lm_eval", "tasks": ["t"], "include_path": "tasks", "metric": "acc",
                         "measures": "domain"}  # fmt: skip
    given: dict[str, Any] = {
        **shipped,
        "random_seed": 7,
        "environments": {"inference": "core", "training": "dev"},
        "models": models,
        "seed": {"samples": 12, "system_prompts": "system.jsonl", "date": "2024-02-03", "prefix": LEFT_OUT,
                 "examples": "examples.jsonl",
                 "slices": {"a": {"share": 0.5, "system_prompts": "system.jsonl", "language": "en",
                                  "tools": "tools.json", "template": {"x": 1}}}},
        "reconstruct": {"multi_turn": {"share": 0.5, "max_turns": 2, "answer": {}}, "sampling": {}},
        "clean": {"max_characters": 5000, "min_characters": 3, "near_duplicates": {}},
        "generate": {"samples": 2, "sampling": {}, "models": {"base": {}, "scholar": {}, "novice": {}}},
        "score": {"rubric": "data/seed/sandbox/rubric.md", "judges": {"base": {}, "scholar": {}}},
        "filter": {"selected": {"aggregate": "median", "models": ["base", "scholar"], "judges": ["base", "scholar"],
                                "samples": 2,
                                "min_score": 0.5, "max_chars": 9000, "min_chars": 2, "same_language": False,
                                "min_judges": LEFT_OUT},
                   "own": {"models": ["base"], "judges": ["base"], "min_score": LEFT_OUT, "max_chars": 9000,
                           "same_language": False, "min_judges": LEFT_OUT, "exclude_self": False}},
        "preferences": {"selections": ["selected"], "min_margin": 0.1},
        "mix": {"size_from": "rehearsal", "validation": 0.1, "max_bad_share": 0.2, "too_long": "truncate"},
        "sources": {"domain": source | {"path": "data/sandbox/domain_train.jsonl"},
                    "rehearsal": source | {"path": LEFT_OUT, "selection": "own", "columns": LEFT_OUT, "draw": "damage",
                                           "probe": "domain_only", "clusters": LEFT_OUT}},
        "arms": {"both": {"sources": {"rehearsal": 0.5, "domain": 0.5}, "unit": "tokens", "budget": LEFT_OUT,
                          "size_from": "domain", "shortage": "repeat",
                          "train": {"sequence_len": 150, "learning_rate": 0.001, "budget": {"domain_epochs": 2.0},
                                    "gpus": 1, "merge": True, "axolotl": {"weight_decay": 0.1}}},
                 "domain_only": {"sources": {"domain": 1.0}, "budget": 50, "size_from": LEFT_OUT,
                                 "shortage": "repeat", "train": LEFT_OUT},
                 "averaged": {"merge": {"both": 0.5, "domain_only": 0.25}},
                 "aligned": {"preferences": {"arm": "both", "selection": "selected"},
                             "train": {"learning_rate": 0.0001, "budget": {"epochs": 2.0}, "gpus": 1}}},
        "sweeps": {"rate": {"arm": "both", "set": "train.learning_rate", "values": [0.002]},
                   "share": {"arm": "averaged", "set": "merge.both", "values": [0.25]}},
        "train": {"sequence_len": 200, "budget": {"steps": 5, "epochs": LEFT_OUT, "domain_epochs": LEFT_OUT},
                  "config": LEFT_OUT, "merge": True,
                  "axolotl": {"optimizer": "sgd"}, "gpus": 1, "adapter": "lora", "launcher": "torchrun",
                  "resources": {"mem_mb": 9000}},
        "evaluate": {"sampling": {}, "suites": suites},
        "report": {"reference": "both", "limits": {}, "gated": ["both"], "examples": 2, "items": 3, "resamples": 1000},
        "sandbox": shipped["sandbox"] | {"seed": 3, "vocabulary": 700,
                    "world": {"conversations": 300, "judgements": 64, "test_rows_per_task": 2, "domain_items": 10,
                              "public_rows": 20, "test_share": 0.1},
                    "trunk": {"layers": 1, "width": 64, "steps": 9},
                    "models": {"scholar": {"template": "chatml"}, "novice": {"template": "chatml"}}},
    }  # fmt: skip
    clean = given["clean"]
    clean["contamination"] = {"benchmarks": ["bench.jsonl"], "fields": ["prompt", "question"], "action": "report"}
    return filled(Params, given)


def bare() -> dict[str, Any]:
    """No optional key, and no optional section."""
    return {
        "random_seed": 7,
        "base": "base",
        "models": {"base": {"path": "./base"}, "scholar": {"path": "models/sandbox/scholar"}},
        "seed": {"samples": 12},
        "generate": {"models": {"base": {}, "scholar": {}}},
        "score": {"judges": {"base": {}, "scholar": {}}},
        "filter": {"selected": {}},
        "mix": {},
        "sources": {"domain": {"path": "data/sandbox/domain_train.jsonl"}},
        "arms": {"domain_only": {"sources": {"domain": 1.0}}, "both": {"sources": {"domain": 0.9, "rehearsal": 0.1}}},
        "train": {"sequence_len": 200},
        "evaluate": {"suites": {"general": {"path": "data/sandbox/general.jsonl", "kind": "exact"},
                                "domain": {"path": "data/sandbox/domain.jsonl", "kind": "exact"}}},
        "report": {},
        "sandbox": {"models": {"scholar": {}}, "world": {"conversations": 300, "judgements": 64, "domain_items": 10}},
    }  # fmt: skip


def inputs(folder: Path) -> None:
    """The files that the parameters name, and links to the project's own."""
    for name in ("Snakefile", "rules", "src", "envs", "profiles"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "data/seed", folder / "data/seed")
    fast = tokenizer(SHAPES["chatml"])
    for name in ("base", "models/sandbox/scholar", "models/sandbox/novice"):
        fast.save_pretrained(folder / name)
        (folder / name / "config.json").write_text(json.dumps({"model_type": "llama", "max_position_embeddings": 4096}))
    (folder / "mine.jinja").write_text(fast.chat_template)
    (folder / "system.jsonl").write_text('{"system": "Be brief.", "weight": 1.0}\n')
    (folder / "tools.json").write_text('[{"type": "function", "function": {"name": "look_up", "parameters": {}}}]')
    (folder / "examples.jsonl").write_text('{"instruction": "Name a river."}\n' * 9)
    (folder / "bench.jsonl").write_text('{"question": "Which of these rivers flows through four capital cities?"}\n')
    (folder / "tasks").mkdir()
