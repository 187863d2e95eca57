"""The rule graph in docs/architecture.md, written anew from Snakemake's own list of jobs.

Run `envs/in-env dev python tests/support/rule_graph.py` after a change of the rules.
"""

import os
import re
import tempfile
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import yaml

from holdfast.build.jobs import Job, list_jobs

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/architecture.md"
COMMAND = "envs/in-env dev python tests/support/rule_graph.py"
BLOCK = re.compile(r"(<!-- rule graph -->\n).*?(<!-- end of rule graph -->)", re.DOTALL)
AVERAGE = {"merge": {"rehearsed": 0.5}}  # without an arm that is an average there is no job of `merge`
ALIGNED = {  # and none of `dpo` without one that is trained on pairs
    "preferences": {"arm": "rehearsed", "selection": "selected"},
    "train": {"learning_rate": 0.0001, "budget": {"epochs": 1}},
}
HARNESS = {"kind": "lm_eval", "tasks": ["gsm8k"]}  # without a suite of the harness there is no job of `suite_items`

BACKWARDS = "probe"  # between the mixtures of two arms: its jobs close no circle, but the rules would


@cache
def jobs_with_every_rule() -> list[Job]:
    """The jobs of the shipped params.yaml, the sandbox, with what else there is rules for."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["evaluate"]["suites"]["harness"] = HARNESS
    params["arms"] |= {"averaged": AVERAGE, "aligned": ALIGNED}
    params["preferences"] = {"selections": ["selected"]}
    params["sources"]["rehearsal"] = {"selection": "selected", "draw": "damage", "probe": "domain_only"}
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        for name in ("Snakefile", "rules", "src", "envs", "data", "profiles"):
            (Path(folder) / name).symlink_to(ROOT / name)
        (Path(folder) / "params.yaml").write_text(yaml.safe_dump(params))
        os.chdir(folder)
        try:
            return list_jobs()
        finally:
            os.chdir(here)


def direct_inputs(jobs: list[Job]) -> dict[str, set[str]]:
    """For each rule the rules whose outputs it reads, less those that another of them already depends on."""
    maker = {output: job.rule for job in jobs for output in job.outputs}
    reads: dict[str, set[str]] = {job.rule: set() for job in jobs}
    for job in jobs:
        reads[job.rule] |= {maker[path] for path in job.inputs if path in maker}
    above: dict[str, set[str]] = {}
    for rule in TopologicalSorter(reads).static_order():
        above[rule] = set().union(*({other} | above[other] for other in reads[rule]))
    return {rule: {o for o in others if not any(o in above[p] for p in others)} for rule, others in reads.items()}


def mermaid(jobs: list[Job]) -> Iterator[str]:
    """The graph as lines of a mermaid flowchart; rules that run only in the sandbox are dashed."""
    graph = direct_inputs([job for job in jobs if job.rule != BACKWARDS])
    yield "flowchart TD"
    for rule in TopologicalSorter({rule: sorted(graph[rule]) for rule in sorted(graph)}).static_order():
        yield from (f"  {other} --> {rule}" for other in sorted(graph[rule]))
    yield from ("  train -.-> probe", "  probe -.-> mix")
    yield "  classDef sandbox stroke-dasharray: 4"
    yield f"  class {','.join(sorted(rule for rule in graph if rule.startswith('sandbox')))} sandbox"


def page() -> str:
    """The text of the page with the present graph in it."""
    lines = "\n".join(mermaid(jobs_with_every_rule()))
    text, found = BLOCK.subn(rf"\1```mermaid\n{lines}\n```\n\2", PAGE.read_text(encoding="utf-8"))
    assert found == 1, f"{PAGE}: the marks around the rule graph are missing"
    return text


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
