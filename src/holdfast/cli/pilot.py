"""`holdfast pilot`: the chain up to the selected answers on a small sample, to read and to measure before the money.

The steps run in `.holdfast/pilot`, with the checkout's files and journal and a params.yaml of its own. Its samples are
the first ones of the whole build, so the journal answers them there. DVC and the checkout's own data are not touched.
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.build import staleness
from holdfast.build.ownership import Build
from holdfast.build.plan import chain_order
from holdfast.build.stages import Stage, downstream, makers
from holdfast.cli.pilot_text import pilot_page, print_pilot
from holdfast.cli.workspace import build, copy_fingerprints, link_all, write_params
from holdfast.common import section
from holdfast.common.errors import UserError
from holdfast.common.files import write_text
from holdfast.common.pilot import FOLDER
from holdfast.common.wording import duration
from holdfast.params.validation import validate

ROWS = 200
STEPS = ("seed", "reconstruct", "clean", "generate", "score", "filter", "filter.judge_statistics")
PAGE = FOLDER / "pilot.html"
LAST_LINES = 20  # of the log of a step that failed without a word of its own
NEXT = """Next:
  holdfast plan            what the whole build will ask and cost, by these figures
  snakemake --cores all    the whole build; what the pilot has asked is not asked again"""


class Job(NamedTuple):
    """A stage's command, to be run in the pilot's folder."""

    stage: str
    environment: str
    command: list[str]


def command(subparsers: Any) -> None:
    """Add `pilot` to the command line."""
    about = "build a small sample without training, to read what comes out and to measure what the whole will cost"
    parser = subparsers.add_parser("pilot", help=about)
    parser.add_argument("--rows", type=int, default=ROWS, help=f"instructions to sample, before cleaning ({ROWS})")
    parser.set_defaults(run=main)


def main(arguments: argparse.Namespace) -> None:
    """Run the pilot and show what came out. Raises UserError when a step fails, after showing what is there by then."""
    if arguments.rows < 1:
        raise UserError(f"--rows {arguments.rows}: must be at least 1")
    params = validate()
    versions, changes = staleness.look()
    stages, maker = versions.stages, makers(versions.stages)
    mine = [name for name in chain_order(stages) if is_pilots(stages[name]["cmd"])]
    shards = {name for name, stage in stages.items() if ".shard " in stage["cmd"]}  # a pilot needs none
    if not mine:
        raise UserError("the Snakefile has none of the steps that a pilot runs")
    read = {dep for name in mine for dep in stages[name]["deps"] if maker.get(dep) not in {*mine, *shards}}
    due = downstream(stages, changes)
    build_first(sorted(dep for dep in read if maker.get(dep) in due))
    running, failed = Build("holdfast pilot"), None
    try:
        prepare(sorted(read), min(arguments.rows, params.seed.samples))
        jobs = [job_of(name, stages[name]) for name in mine]
        for number, job in enumerate(jobs, 1):
            run(job, f"[{number}/{len(jobs)}]")
    except UserError as error:
        failed = error
    finally:
        copy_fingerprints(FOLDER, Path())
        running.end()
    if failed and not list((FOLDER / "data/generate").glob("*.parquet")):
        raise failed
    os.chdir(FOLDER)
    write_text(pilot_page(params), PAGE.name)
    print_pilot(params, PAGE.name)
    if failed:
        raise failed
    print(NEXT)


def is_pilots(command: str) -> bool:
    """Whether the job is one of the pilot's: those between the prompts and the selected answers, shards apart."""
    module = re.search(r"-m holdfast\.steps\.(\S+)", command)
    selection = re.search(r"--selection (\S+)", command)
    return bool(module) and module[1] in STEPS and (not selection or selection[1] == "selected")  # type: ignore[index]


def build_first(paths: list[str]) -> None:
    """Build files that the pilot reads and does not make, such as the sandbox's models."""
    if not paths:
        return
    print(f"pilot: building what it reads first: {', '.join(paths)}", flush=True)
    if build(paths, Path(), "--quiet", "rules"):
        raise UserError("the pilot was not started, because what it reads could not be built")


def prepare(read: list[str], rows: int) -> None:
    """Make the pilot's folder: its params.yaml, and links to what it reads of the checkout."""
    for name in ("data", "metrics"):
        shutil.rmtree(FOLDER / name, ignore_errors=True)
    values = section.load()
    values["seed"] = values["seed"] | {"samples": rows}
    values["models"] = {
        name: {k: v for k, v in model.items() if k != "shards"} for name, model in values["models"].items()
    }
    write_params(values, FOLDER)
    link_all(read, FOLDER)
    copy_fingerprints(Path(), FOLDER)


def job_of(name: str, stage: Stage) -> Job:
    words = shlex.split(stage["cmd"])
    command = words[words.index("--") + 1 :]
    return Job(name, Path(words[words.index("--env") + 1]).stem, command)


def run(job: Job, number: str) -> None:
    """Run a step; print one line. Raises UserError with the end of its log when it fails."""
    log = FOLDER / "logs" / f"{job.stage}.log"
    log.parent.mkdir(exist_ok=True)
    begun = time.monotonic()
    with log.open("w") as errors:
        done = subprocess.run(
            [os.path.abspath("envs/in-env"), job.environment, *job.command],
            cwd=FOLDER, stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
    if done.returncode:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        own = next((n for n, line in enumerate(lines) if line.startswith("error: ")), -LAST_LINES)
        raise UserError("\n".join([f"{job.stage} failed (status {done.returncode}; {log}):", *lines[own:]]))
    said = [line for line in done.stdout.splitlines() if line.strip()]
    took = duration(time.monotonic() - begun)
    print(f"{number} {job.stage:<24} {took:>9}  {said[-1].partition(': ')[2] if said else ''}".rstrip(), flush=True)
