"""Every real step, as its rule calls it, reads only keys that the rule declares: run with every optional key set.

The steps run here, in this process, in the order of the graph and on each other's outputs; an engine of the tests'
own answers, and what needs torch, Axolotl or the harness stops where it would start.
"""

import importlib
import shlex
import shutil
import sys
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import polars as pl
import pytest
import yaml

from example_params import EXCLUDED, bare, full, inputs
from full_params import missing
from holdfast.build.jobs import Job, list_jobs
from holdfast.common.tables import EVALUATIONS
from holdfast.inference.request import Answer
from holdfast.params.schema import Params
from holdfast.params.validation import validate

pytestmark = pytest.mark.workflow
WRITTEN = ["Where does the river go?", "Name a colour of the sky.", "How many days are in a week?", "Say it again."]


class Stop(Exception):
    """The step has read its parameters; what follows needs another environment."""


<<<<<<< HEAD
=======
EXCLUDED = {  # by another key that is set, or by having one valid value beside the others
    "seed.prefix", "filter.selected.min_judges", "filter.selected.same_language", "sources.domain.selection",
    "sources.domain.format", "sources.domain.shape", "sources.domain.slices", "sources.rehearsal.path",
    "sources.rehearsal.columns", "sources.rehearsal.format", "sources.rehearsal.shape", "sources.rehearsal.slices",
    "arms.both.budget", "arms.domain_only.size_from", "train.budget.epochs", "train.config", "train.merge",
    "evaluate.suites.general.measures",
}  # fmt: skip


def full() -> dict[str, Any]:
    """Every optional key with another value than its default, but those that exclude one another."""
    shipped = yaml.safe_load((ROOT / "params.yaml").read_text())
    model = {
        "path": "models/sandbox/scholar", "engine": "transformers", "engine_args": {"dtype": "float32"},
        "chat_template": "mine.jinja", "policy": ["outputs_may_train", "x"], "licence": "MIT", "gpus": 1,
    }  # fmt: skip
    base = model | {"path": "./base", "engine_args": {"dtype": "float32", "trust_remote_code": True}}
    models = {"base": base, "scholar": model, "novice": model | {"path": "models/sandbox/novice"}}
    source = {"format": LEFT_OUT, "shape": LEFT_OUT, "columns": {"messages": "messages"}, "split": "test",
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
        "mix": {"size_from": "rehearsal", "validation": 0.1, "max_bad_share": 0.2, "too_long": "truncate"},
        "sources": {"domain": source | {"path": "data/sandbox/domain_train.jsonl"},
                    "rehearsal": source | {"path": LEFT_OUT, "selection": "own", "columns": LEFT_OUT}},
        "arms": {"both": {"sources": {"rehearsal": 0.5, "domain": 0.5}, "unit": "tokens", "budget": LEFT_OUT,
                          "size_from": "domain", "shortage": "repeat"},
                 "domain_only": {"sources": {"domain": 1.0}, "budget": 50, "size_from": LEFT_OUT,
                                 "shortage": "repeat"}},
        "train": {"sequence_len": 200, "budget": {"steps": 5, "epochs": LEFT_OUT}, "config": LEFT_OUT, "merge": True,
                  "axolotl": {"optimizer": "sgd"}, "gpus": 1, "adapter": "lora", "launcher": "torchrun"},
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


>>>>>>> a0ec113 (Declared keys of the sandbox's trunk)
class Writer:
    """An engine that always has something to say."""

    def answers(self, requests: Any) -> Any:
        for number, (key, request) in enumerate(requests):
            scores = [-1.0 - n for n in range(len(request.logprobs_of))] or ([-2.0] if request.own_logprob else None)
            yield [
                Answer(
                    key,
                    f"{WRITTEN[number % 4]} {number} Score: {number % 5 + 1}",
                    "stop",
                    5,
                    5,
                    request.seed,
                    0.1,
                    scores,
                )
            ]


@contextmanager
def writer(name: str, model: Any) -> Any:
    yield Writer()


def stop(*_: Any, **__: Any) -> Any:
    raise Stop


<<<<<<< HEAD
=======
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


>>>>>>> a0ec113 (Declared keys of the sandbox's trunk)
@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    inputs(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr("holdfast.inference.engines.start", writer)
    return tmp_path


def module_of(job: Job) -> tuple[ModuleType, list[str]]:
    words = shlex.split(job.shell)
    words = words[words.index("-m") + 1 :]
    try:
        return importlib.import_module(f"{words[0]}.__main__"), words
    except ModuleNotFoundError:
        return importlib.import_module(words[0]), words


def run(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job's own command, in this process."""
    if job.rule in ("sandbox_trunk", "sandbox_model"):
        with monkeypatch.context() as patched:
            patched.setitem(sys.modules, "torch", MagicMock())  # imported, not used before the step stops
            module, words = module_of(job)
    else:
        module, words = module_of(job)
    for name, stand_in in STAND_INS.get(job.rule, {}).items():
        monkeypatch.setattr(module, name, stand_in)
    for loaded in [
        m for name, m in sys.modules.items() if name.startswith("holdfast.") and hasattr(m, "in_own_process")
    ]:
        monkeypatch.setattr(loaded, "in_own_process", lambda _, function, *words: function(*words))
    monkeypatch.setattr(sys, "argv", words)
    try:
        module.main()
    except Stop:
        for out in map(Path, job.outputs):
            out.parent.mkdir(parents=True, exist_ok=True)
            if out.parts[0] == "models":
                shutil.copytree("base", out, dirs_exist_ok=True)
            else:
                out.write_text(OUTPUTS[job.rule])


STAND_INS: dict[str, dict[str, Any]] = {
    "sandbox_trunk": {"new_model": MagicMock(), "train": stop},
    "sandbox_model": {"LlamaForCausalLM": MagicMock(), "train": stop},
    "suite_items": {"task_manager": stop},
    "recipe": {"validate": stop},
    "train": {"axolotl": stop},
    "evaluate": {"run_harness": lambda *_: (pl.DataFrame(schema=EVALUATIONS), [])},
}
OUTPUTS = {
    "sandbox_trunk": "",
    "recipe": "adapter: lora\nmax_steps: 5\n",
    "suite_items": '{"item_id": "1", "task": "t", "prompt": "Which planet is nearest to the sun of ours?"}\n',
    "train": "step,epoch,loss,eval_loss,grad_norm\n1,0.5,2.5,,9\n",
}


def in_order(jobs: list[Job]) -> list[Job]:
    """The jobs, each after those that make its inputs."""
    made = {out: job for job in jobs for out in job.outputs}
    done: dict[int, Job] = {}

    def add(job: Job) -> None:
        for path in job.inputs:
            if path in made and id(made[path]) not in done:
                add(made[path])
        done.setdefault(id(job), job)

    for job in jobs:
        add(job)
    return list(done.values())


@pytest.mark.parametrize("make", [full, bare])
def test_every_step_reads_only_what_its_rule_declares(
    project: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[], dict[str, Any]]
) -> None:
    Path("params.yaml").write_text(yaml.safe_dump(make()))
    validate()
    jobs = in_order(list_jobs())
    for job in jobs:
        run(job, monkeypatch)  # an undeclared key is an AssertionError here
    made = {job.rule for job in jobs if all(Path(out).exists() for out in job.outputs)}
    assert made >= {"seed", "reconstruct", "clean", "generate", "score", "filter", "mix", "recipe", "train", "evaluate"}


def test_no_optional_key_is_forgotten() -> None:
    left = {key for key in missing(Params, full()) if key not in EXCLUDED and not key.startswith("filter.own.")}
    assert not left, f"give {sorted(left)} a value that is not the default, in `full`"
