"""What a look at an up-to-date tree costs, against the two engines alone with the same graph.

    envs/in-env dev python bench/noop.py [ARMS] [FOLDER]

Builds the tests' toy chain with 3 models, ARMS arms (10; a chain of 1,000 stages has 994) and generations of a gigabyte
each in FOLDER (default: a temporary one), and prints what a job of this build cost. Then times `snakemake -n` and
`dvc status`, as they are and without Holdfast: rules without the machinery of rules/common.smk, and dvc.yaml without
its stage `workflow`. Prints the least of several runs, in CPU and wall seconds.
"""

import os
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/support"))

import yaml

import toy_project
from toy_project import Project

GIGABYTE = 1 << 30
RUNS, RUNS_OF_MANY, MANY = 5, 2, 100  # with more than MANY arms fewer runs
BARE = """


def code(module):
    return "none"


def env(name):
    return "envs/core.txt"
"""


def prepare(folder: Path, arms: int) -> Project:
    """The big toy project, built."""
    project = toy_project.make(folder, "hardlink")
    step = project.folder / "src/holdfast/toy/generate.py"
    step.write_text(step.read_text() + f"    import os\n    os.truncate(args.generations, {GIGABYTE})\n")
    reading = project.folder / "src/holdfast/toy/filter.py"
    reading.write_text(
        reading.read_text().replace("Path(path).read_text()", "Path(path).read_text()[:4096].strip(chr(0))")
    )
    params = project.params()
    params["generate"]["models"] = {name: {"temperature": 1.0} for name in ("base", "novice", "scholar")}
    params["arms"] = {f"arm{number}": {"share": number / arms} for number in range(1, arms + 1)}
    project.set_params(params)
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    project.run("snakemake", timeout_s=7200)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - started
    cpu, stages = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, arms + 3 + 3
    print(f"{stages} stages built: {cpu / stages:.2f} s CPU a job, {wall:.0f} s wall", flush=True)
    return project


def bare(project: Project, folder: Path) -> Project:
    """The same files and graph, each engine left to itself."""
    shutil.copytree(project.folder, folder, symlinks=True, copy_function=os.link)
    alone = Project(folder)
    (folder / "rules/common.smk").unlink()
    (folder / "rules/common.smk").write_text(BARE)
    stages = yaml.safe_load((folder / "dvc.yaml").read_text())
    del stages["stages"]["workflow"]
    (folder / "dvc.yaml").unlink()
    (folder / "dvc.yaml").write_text(yaml.safe_dump(stages, sort_keys=False))
    return alone


def cost(project: Project, runs: int, *command: str) -> tuple[float, float]:
    """Least CPU and wall seconds of several runs, after one to warm up."""
    found = []
    for _ in range(runs + 1):
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        done = project.run(*command)
        after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - started
        assert "Nothing to be done" in done.stdout + done.stderr or "up to date" in done.stdout, done.stdout
        found.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall))
    return min(cpu for cpu, _ in found[1:]), min(wall for _, wall in found[1:])


def main() -> None:
    arms = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    place = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(tempfile.mkdtemp())
    runs = RUNS_OF_MANY if arms > MANY else RUNS
    project = prepare(place / "noop", arms)
    alone = bare(project, place / "bare")
    costs = {}
    for suffix, where in (("", project), (", alone", alone)):
        for name in ("snakemake -n", "dvc status"):
            cpu, wall = costs[name + suffix] = cost(where, runs, *name.split())
            print(f"{name + suffix:20} {cpu:6.2f} s CPU {wall:6.2f} s wall", flush=True)
    for kind, number in (("CPU", 0), ("wall", 1)):
        ours, alone_s = (
            {name: costs[f"{name}{suffix}"][number] for name in ("snakemake -n", "dvc status")}
            for suffix in ("", ", alone")
        )
        together = sum(alone_s.values())
        for name in ours:
            both, itself = ours[name] / together, ours[name] / alone_s[name]
            print(
                f"{kind}: {name} takes {both:.2f} times as long as both alone, {itself:.2f} times as long as it alone"
            )


if __name__ == "__main__":
    main()
