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
from holdfast.build.dvc_file import write_sweeps
from holdfast.build.jobs import Job, list_jobs
from holdfast.common.tables import EVALUATIONS
from holdfast.inference.request import Answer
from holdfast.params.schema import Params
from holdfast.params.validation import validate

pytestmark = pytest.mark.workflow
WRITTEN = ["Where does the river go?", "Name a colour of the sky.", "How many days are in a week?", "Say it again."]


class Stop(Exception):
    """The step has read its parameters; what follows needs another environment."""


class Writer:
    """An engine that always has something to say."""

    def answers(self, requests: Any) -> Any:
        for number, (key, request) in enumerate(requests):
            scores = [-1.0 - n for n in range(len(request.logprobs_of))] or (
                [-2.0] if request.own_logprob or request.answer_logprob else None
            )
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
                out.write_text(OUTPUTS.get(f"{job.rule} {out.suffix}", OUTPUTS.get(job.rule, "")))


STAND_INS: dict[str, dict[str, Any]] = {
    "sandbox_trunk": {"new_model": MagicMock(), "train": stop},
    "sandbox_model": {"LlamaForCausalLM": MagicMock(), "train": stop},
    "suite_items": {"task_manager": stop},
    "recipe": {"validate": stop},
    "arm_recipe": {"validate": stop},
    "dpo_recipe": {"validate": stop},
    "train": {"train_to_the_end": stop},
    "dpo": {"train_to_the_end": stop},
    "merge": {"tensors_in": stop},
    "evaluate": {"run_harness": lambda *_: (pl.DataFrame(schema=EVALUATIONS), [])},
    "evaluate_shard": {"ask_harness": lambda *_: pl.DataFrame(schema={"request_key": pl.String})},
}
OUTPUTS = {
    "sandbox_trunk": "",
    "recipe": "adapter: lora\nmax_steps: 5\n",
    "arm_recipe": "micro_batch_size: 4\ngradient_accumulation_steps: 1\nnum_epochs: 2.0\n"
    "holdfast: {num_epochs_over: domain}\n",
    "suite_items": '{"item_id": "1", "task": "t", "prompt": "Which planet is nearest to the sun of ours?"}\n',
    "dpo_recipe": "sequence_len: 200\nrl: dpo\n",
    "train": "step,epoch,loss,eval_loss,grad_norm\n1,0.5,2.5,,9\n",
    "dpo .csv": "step,epoch,loss,eval_loss,grad_norm\n1,0.5,2.5,,9\n",
    "dpo .json": '{"arm": "aligned", "steps": 1, "epochs": 1, "pairs": 9, "rejected": 0, "tokens": 9, "accuracies": 1}',
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
    write_sweeps(make())
    jobs = in_order(list_jobs())
    for job in jobs:
        run(job, monkeypatch)  # an undeclared key is an AssertionError here
    made = {job.rule for job in jobs if all(Path(out).exists() for out in job.outputs)}
    assert made >= {"seed", "reconstruct", "clean", "generate", "score", "filter", "mix", "recipe", "train", "evaluate"}


def test_no_optional_key_is_forgotten() -> None:
    left = {key for key in missing(Params, full()) if key not in EXCLUDED and not key.startswith("filter.own.")}
    assert not left, f"give {sorted(left)} a value that is not the default, in `full`"
