# What more than one rule file needs, and the bridge to DVC. The logic is in src/holdfast/.
import os
import sys

sys.path.insert(0, "src")  # for a Snakemake that was not started through envs/in-env

from snakemake.exceptions import WorkflowError

from holdfast.build import lock, staleness
from holdfast.build.jobs import LISTING
from holdfast.common.errors import UserError
from holdfast.inference.fingerprint import answer_keys
from holdfast.inference.params import Model

if workflow.is_main_process:
    try:
        staleness.prepare(config)
    except UserError as error:
        raise WorkflowError(str(error))


onstart:
    if workflow.is_main_process:
        try:
            build_lock = lock.hold_build()
        except UserError as error:
            raise WorkflowError(str(error))


def code(*modules):
    """The modules whose algorithm, with all that they import, decides a job's output."""
    return ",".join(modules)


def env(name):
    """The pinned package list of an environment, as `environments` maps it."""
    return f"envs/{config.get('environments', {}).get(name, name)}.txt"


def model_files(name):
    """A model's folder, if it is one on this machine, and the chat template that the user gives it."""
    model = Model.model_validate(config["models"][name])
    return [file for file in (model.folder, model.chat_template) if file]


def model_keys(name):
    """What a job that asks this model declares of it: not its prices and limits, which change no row."""
    return answer_keys(name, config["models"][name])


def loading_keys():
    """How the base model's tokenizer is loaded, besides from where."""
    base, model = config["base"], config["models"][config["base"]]
    keys = [key for key in ("revision", "chat_template") if key in model]
    keys += ["engine_args.trust_remote_code"] if "trust_remote_code" in model.get("engine_args", {}) else []
    return [f"models.{base}.{key}" for key in keys]


def gpus(name):
    """How many GPUs one job of this model needs."""
    return config["models"][name].get("gpus", 0)


def harness_items():
    """The texts that training data is kept free of, a file for each suite of the harness."""
    suites = config["evaluate"]["suites"]
    return [f"data/evaluate/items/{name}.jsonl" for name in sorted(suites) if suites[name]["kind"] == "lm_eval"]


if LISTING in os.environ:

    rule stamp:
        """Stands in for the stamps while the jobs are only listed."""
        output:
            touch(".holdfast/stamps/{stage}"),
