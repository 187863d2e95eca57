"""A random walk over a project: operations that try to part the two engines, and the truth they are held against."""

import hashlib
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

import toy_project
from holdfast.build.stages import downstream
from toy_project import Project


def md5(path: Path) -> str | None:
    """DVC's hash of a file or folder; None where there is none."""
    if path.is_dir():
        files = [file for file in path.rglob("*") if file.is_file() and file.name != ".snakemake_timestamp"]
        entries = [{"md5": md5(file), "relpath": file.relative_to(path).as_posix()} for file in files]
        listing = json.dumps(sorted(entries, key=lambda entry: entry["relpath"] or ""), sort_keys=True)
        return hashlib.md5(listing.encode()).hexdigest() + ".dir"
    return hashlib.md5(path.read_bytes()).hexdigest() if path.exists() else None


def from_scratch(project: Project) -> dict[str, str | None]:
    """The hash of every output of a build of the project's sources in an empty folder, without either engine."""
    copy = project.folder.parent / "scratch"
    shutil.rmtree(copy, ignore_errors=True)
    listed = project.git("ls-files", "--cached", "--others", "--exclude-standard").stdout.splitlines()
    for name in listed:
        if (project.folder / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(project.folder / name, copy / name)
    twin = Project(copy)
    waiting = json.loads(twin.run("python", "-m", "holdfast.build.jobs", HOLDFAST_LISTING="1").stdout)
    hashes: dict[str, str | None] = {}
    while waiting:
        ready = [job for job in waiting if all((copy / path).exists() or "stamps" in path for path in job["inputs"])]
        assert ready, waiting
        for job in ready:
            words = shlex.split(job["shell"])
            twin.run(*words[words.index("--") + 1 :], TOY_FOLDER="")
            hashes |= {out: md5(copy / out) for out in job["outputs"]}
        waiting = [job for job in waiting if job not in ready]
    return hashes


class Walk:
    """One walk; `log` says what was done."""

    def __init__(self, project: Project, seed: int, remote: Path):
        self.project, self.random, self.remote = project, random.Random(seed), remote
        self.log: list[str] = []
        self.clones = 0
        self.commits: list[str] = []
        self.truth: dict[str, str | None] = {}
        self.overcalled = 0  # stages called stale only because something above them must be put back first
        project.run("holdfast", "dvc")
        self.build()
        self.check_fresh()

    # what is so, and what the engines say

    def lock(self) -> dict[str, Any]:
        path = self.project.folder / "dvc.lock"
        return yaml.safe_load(path.read_text())["stages"] if path.exists() else {}

    def changed(self, stages: dict[str, Any]) -> tuple[set[str], set[str]]:
        """Stages whose command, parameters, inputs or outputs are not the recorded ones; of these, those whose
        outputs are only missing."""
        lock, params, changed, only_missing = self.lock(), self.project.params(), set(), set()
        for name, stage in stages.items():
            record = lock.get(name, {})
            deps = {entry["path"]: entry["md5"] for entry in record.get("deps", [])}
            outs = {entry["path"]: entry["md5"] for entry in record.get("outs", [])}
            keys = {key: look_up(params, key) for key in stage["params"] if isinstance(key, str)}
            watched = {"params.yaml": keys} if keys else {}
            for file, names in [entry for key in stage["params"] if isinstance(key, dict) for entry in key.items()]:
                known = yaml.safe_load((self.project.folder / file).read_text())
                watched[file] = {name: known[name] for name in names}
            same = record.get("cmd") == stage["cmd"] and record.get("params", {}) == watched
            same = same and deps == {path: md5(self.project.folder / path) for path in stage["deps"]}
            found = {path: md5(self.project.folder / path) for path in stage["outs"]}
            if not same or found != outs:
                changed.add(name)
                if same and all(found[path] in (None, outs[path]) for path in outs):
                    only_missing.add(name)
        return changed, only_missing

    def check(self) -> None:
        """Stale data never pass as fresh, and fresh data never as stale."""
        dvc = self.project.stale_for_dvc()
        if "workflow" in dvc:  # DVC says by this that dvc.yaml may be out of date
            self.project.run("python", "-m", "holdfast.build.dvc_file", check=False)
            dvc = self.project.stale_for_dvc() - {"workflow"}
        stages = yaml.safe_load((self.project.folder / "dvc.yaml").read_text())["stages"]
        del stages["workflow"]
        changed, missing = self.changed(stages)
        self.truth = from_scratch(self.project)
        disk = {out: md5(self.project.folder / out) for out in self.truth}
        wrong = {name for name, stage in stages.items() if any(disk[out] != self.truth[out] for out in stage["outs"])}
        assert set(self.truth) == {out for stage in stages.values() for out in stage["outs"]}, "dvc.yaml has drifted"
        assert wrong <= downstream(stages, dvc), f"DVC calls stale data fresh: {wrong - downstream(stages, dvc)}"
        assert dvc == changed, f"DVC calls {dvc ^ changed} wrongly"
        snakemake = self.project.stale_for_snakemake()
        back = {name for name in missing if not self.changed({name: stages[name]})[0]}  # put back from the cache
        still = self.changed(stages)[0]
        assert wrong - back <= snakemake, f"Snakemake calls stale data fresh: {wrong - back - snakemake}"
        assert snakemake == downstream(stages, still), (
            f"Snakemake: {snakemake ^ downstream(stages, still)} called wrongly"
        )
        self.overcalled += len(snakemake - wrong - still)

    def check_fresh(self) -> None:
        """After a build everything is as a build from scratch would have made it, and both engines say so."""
        truth = self.truth or from_scratch(self.project)
        for out, expected in truth.items():
            assert md5(self.project.folder / out) == expected, f"{out} is not what a build from scratch makes"
        for stale in (self.project.stale_for_dvc, self.project.stale_for_snakemake, self.project.stale_for_dvc):
            assert stale() == set(), f"{stale.__name__} after a build: {stale()}"
        self.commits.append(self.project.commit())
        self.project.dvc("push", "--quiet")

    def build(self, check: bool = True) -> str:
        engine = self.random.choice(["snakemake", "dvc repro"])
        self.project.ran()
        done = self.project.run(*engine.split(), check=False)
        if engine == "dvc repro" and "has been regenerated" in done.stderr:
            done = self.project.run(*engine.split(), check=False)
        assert not check or done.returncode == 0, f"{engine}\n{done.stdout}\n{done.stderr}"
        self.log.append(f"built with {engine}: {self.project.ran()}")
        return engine

    def step(self) -> None:
        """One operation, the comparison, a build, the comparison again."""
        operation = self.random.choice(OPERATIONS)
        self.log.append(operation.__name__)
        operation(self)
        self.check()
        self.build()
        self.check_fresh()

    # helpers of the operations

    def path(self, name: str) -> Path:
        return self.project.folder / name

    def edit_params(self, change: Callable[[dict[str, Any]], None]) -> None:
        params = self.project.params()
        change(params)
        self.project.set_params(params)

    def an_output(self) -> Path:
        """A file that a stage has made."""
        outs = [self.path(out) for out in sorted(self.truth or from_scratch(self.project))]
        files = [file for out in outs for file in ([out] if out.is_file() else sorted(out.rglob("*.txt")))]
        return self.random.choice(files)

    def a_module(self) -> Path:
        return self.path(f"src/holdfast/toy/{self.random.choice(STEPS)}.py")

    def stop_at(self, step: str, accident: str) -> Path:
        """Make something stale so that `step` runs, and arrange an accident there."""
        one_model(self)
        edit_unused(self, step)
        path = self.project.outside / f"{accident}-{step}"
        path.touch()
        return path


STEPS = ["reconstruct", "generate", "filter", "train", "report"]


def look_up(params: Any, key: str) -> Any:
    for part in key.split("."):
        params = params[part]
    return params


def one_model(walk: Walk) -> None:
    value = round(walk.random.uniform(0.1, 2), 2)
    model = walk.random.choice(sorted(walk.project.params()["generate"]["models"]))
    walk.edit_params(lambda params: params["generate"]["models"][model].update(temperature=value))


def add_model(walk: Walk) -> None:
    name = f"m{walk.random.randrange(100)}"
    walk.edit_params(lambda params: params["generate"]["models"].setdefault(name, {"temperature": 1.0}))


def remove_model(walk: Walk) -> None:
    models = sorted(walk.project.params()["generate"]["models"])
    if len(models) > 1:
        gone = walk.random.choice(models)
        walk.edit_params(lambda params: params["generate"]["models"].pop(gone))


def change_arms(walk: Walk) -> None:
    arms = sorted(walk.project.params()["arms"])
    if len(arms) > 2:
        walk.edit_params(lambda params: params["arms"].pop(arms[0]))
    else:
        name, share = f"a{walk.random.randrange(100)}", round(walk.random.random(), 2)
        walk.edit_params(lambda params: params["arms"].setdefault(name, {"share": share}))


def change_counts(walk: Walk) -> None:
    if walk.random.random() < 0.5:
        walk.edit_params(lambda params: params["generate"].update(shards=walk.random.randrange(1, 9)))
    else:
        walk.edit_params(lambda params: params["reconstruct"].update(samples=walk.random.randrange(5, 40)))


def edit_module(walk: Walk) -> None:
    path = walk.a_module()
    path.write_text(path.read_text().replace("args = ", f"random_word = {walk.random.random()!r}\n    args = ", 1))
    if path.name == "generate.py":
        path.write_text(path.read_text().replace("temperature, line)", "temperature, line, random_word)"))


def edit_unused(walk: Walk, step: str | None = None) -> None:
    """A change of code that does not show in the output."""
    path = walk.path(f"src/holdfast/toy/{step}.py") if step else walk.a_module()
    path.write_text(path.read_text() + f"unused = {walk.random.random()}\n")


def edit_comment(walk: Walk) -> None:
    path = walk.a_module()
    path.write_text(path.read_text() + f"# {walk.random.random()}\n")


def edit_rule(walk: Walk) -> None:
    path = walk.path("rules/toy.smk")
    step = walk.random.choice(STEPS)
    word = f'" env WORD={walk.random.randrange(1000)} python -m holdfast.toy.{step} '
    lines = [word + line.split(f"holdfast.toy.{step} ")[1] if f"-m holdfast.toy.{step} " in line else line
             for line in path.read_text().splitlines(keepends=True)]  # fmt: skip
    path.write_text("".join(" " * 8 + line if line.startswith('" env') else line for line in lines))


def comment_in_rules(walk: Walk) -> None:
    path = walk.path("rules/toy.smk")
    path.write_text(path.read_text() + f"# {walk.random.random()}\n")


def change_seed_file(walk: Walk) -> None:
    path = walk.path("data/seed/prompts.txt")
    path.write_text(path.read_text() + f"word{walk.random.randrange(1000)}\n")


def older_commit(walk: Walk) -> None:
    walk.project.git("checkout", "--quiet", "--force", walk.random.choice(walk.commits))
    walk.project.dvc("checkout", "--quiet", check=False)
    if any(path.is_symlink() and not path.exists() for path in walk.project.folder.rglob("*")):
        walk.project.snakemake("--dry-run")  # removes these links, which DVC leaves and then cannot read


def fresh_clone(walk: Walk) -> None:
    walk.clones += 1
    twin = toy_project.clone(walk.project, walk.project.folder.parent / f"clone{walk.clones}")
    walk.project = twin
    twin.dvc("pull", "--quiet")


def delete_output(walk: Walk) -> None:
    walk.an_output().unlink()


def truncate_output(walk: Walk) -> None:
    replace(walk.an_output(), "")


def tamper_with_output(walk: Walk) -> None:
    path = walk.an_output()
    before = path.stat().st_mtime_ns
    replace(path, path.read_text().replace("a", "b", 1) + "x\n")
    if walk.random.random() < 0.5:  # under an old time stamp
        os.utime(path, ns=(before, before))


def replace(path: Path, text: str) -> None:
    """As editors write: a new file in the old one's place."""
    path.unlink()
    path.write_text(text)


def killed_build(walk: Walk) -> None:
    step = walk.random.choice(STEPS)
    hang = walk.stop_at(step, "hang")
    walk.project.ran()
    command = walk.random.choice([["snakemake"], ["dvc", "repro"]])
    if command[0] == "dvc":  # so that it does not stop at the renewed dvc.yaml
        walk.project.run("python", "-m", "holdfast.build.dvc_file", check=False)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    build = subprocess.Popen(command, cwd=walk.project.folder, env=walk.project.environment(), **quiet)  # type: ignore[call-overload]
    trace = walk.project.outside / "ran"
    deadline = time.time() + 120
    while (
        build.poll() is None and time.time() < deadline and not (trace.exists() and step in trace.read_text().split())
    ):
        time.sleep(0.05)
    assert build.poll() is None, f"{command} did not come to {step}"
    build.send_signal(signal.SIGKILL)
    build.wait()
    hang.unlink()
    walk.log.append(f"killed {command} in {step}")
    while subprocess.run(["pgrep", "-r", "DRST", "-s", str(build.pid)], stdout=subprocess.DEVNULL).returncode == 0:
        assert time.time() < deadline, "a killed build left a job behind"
        time.sleep(0.05)


def failing_step(walk: Walk) -> None:
    fail = walk.stop_at(walk.random.choice(STEPS), "fail")
    walk.build(check=False)
    fail.unlink()


def touch(walk: Walk) -> None:
    paths = [walk.an_output(), walk.a_module(), walk.path("data/seed/prompts.txt"), walk.path("params.yaml")]
    for path in walk.random.sample(paths, 2):
        path.touch()


def revert(walk: Walk) -> None:
    one_model(walk)
    edit_unused(walk)
    if walk.random.random() < 0.5:
        walk.build()
    walk.project.git("checkout", "--quiet", "--", "params.yaml", "src", "rules", "data")


OPERATIONS: list[Callable[[Walk], None]] = [
    one_model, add_model, remove_model, change_arms, change_counts, edit_module, edit_unused, edit_comment, edit_rule,
    comment_in_rules, change_seed_file, older_commit, older_commit, fresh_clone, delete_output, truncate_output,
    tamper_with_output, killed_build, killed_build, failing_step, touch, revert,
]  # fmt: skip
