# Functions that several rule files use, and the connection to DVC. The logic is in src/holdfast/build/.
import os
import sys

sys.path.insert(0, os.path.join(workflow.basedir, "src"))  # for a Snakemake that was not started through envs/in-env

from holdfast.build import ownership, recorder, staleness, terminal
from holdfast.build.jobs import LISTING
from holdfast.common.section import ABSENT, look_up
from holdfast.params.sweeps import with_sweeps

with terminal.reporting():
    if workflow.is_main_process:
        from holdfast.cli.summary import closing

        terminal.attach(workflow, closing)
        recorder.report_every_job(workflow)
        versions = staleness.prepare(config)
    elif ownership.BUILD in os.environ:  # on a node of a cluster, before the outputs of an earlier build are touched
        ownership.check_build("job")


config.update(with_sweeps(config))  # from here on an arm of a sweep is like any other


onstart:
    if workflow.is_main_process:
        with terminal.reporting():
            build = recorder.start(versions, workflow)


def code(*modules):
    """The modules that decide a job's output, with everything that they import (src/holdfast/build/code_digest.py)."""
    return ",".join(modules)


def env(name):
    """The package list of an environment, after the mapping in `environments`."""
    return f"envs/{config.get('environments', {}).get(name, name)}.txt"


def present(*keys):
    """Those of the dotted keys that params.yaml has: an optional key is declared where it is set."""
    return [key for key in keys if look_up(config, key) is not ABSENT]


def trained_arms():
    """The arms that have a mixture; of the others some are averages (`merge`), some start from others (`preferences`)."""
    return sorted(arm for arm, settings in config["arms"].items() if "sources" in settings)


def harness_items():
    """One file per suite of the evaluation harness, with the texts that training data is compared with."""
    suites = config["evaluate"]["suites"]
    return [f"data/evaluate/items/{name}.jsonl" for name in sorted(suites) if suites[name]["kind"] == "lm_eval"]


def benchmark_files():
    return config.get("clean", {}).get("contamination", {}).get("benchmarks", [])


if LISTING in os.environ:

    rule stamp:
        """Makes the stamp files known while the jobs are only listed."""
        output:
            touch(".holdfast/stamps/{stage}"),
