"""dvc.yaml and the digests of the jobs' code, written from the Snakefile's own graph.

One DVC stage per Snakemake job, named like the job's stamp file.

Only the standard library is imported at the top, because `envs/job` calls `current` before every stage.
"""

import hashlib
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from holdfast.build.atomic import replace_text
from holdfast.build.jobs import Job, list_jobs
from holdfast.common.arm_file import SWEPT
from holdfast.common.errors import UserError

DVC_FILE = Path("dvc.yaml")
CODE = Path("src/holdfast")
DIGESTS = Path("data/workflow/code.yaml")  # a digest per module that a rule names after `--code`
SWEEPS = Path(SWEPT)  # the arms of sweeps, which DVC watches like params.yaml; absent without any
STAMPS = Path(".holdfast/stamps")
SEEN = Path(".holdfast/graph")  # the fingerprint at which dvc.yaml was last seen to be current
WORKFLOW = "workflow"  # the stage by which plain `dvc status` and `dvc repro` notice that dvc.yaml may be out of date


HEADER = "# generated from the Snakefile by `holdfast dvc`; do not edit\n"
OUTDATED = "dvc.yaml was out of date and has been regenerated; run `dvc repro` again"


def sources() -> list[Path]:
    """The files that determine the graph, without the Python modules."""
    return [Path("Snakefile"), *sorted(Path("rules").glob("*.smk")), Path("params.yaml")]


def fingerprint() -> str:
    """A hash of everything that dvc.yaml and the code digests depend on, and of both files."""
    digest = hashlib.blake2b(digest_size=16)
    for path in [*sources(), *sorted(CODE.rglob("*.py")), DVC_FILE, DIGESTS, SWEEPS]:
        digest.update(f"{path}\0".encode())
        if path.is_file():
            content = path.read_bytes()
            digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()


def current() -> bool:
    """Whether neither dvc.yaml and the code digests nor what they depend on has changed since both were up to date."""
    return SEEN.is_file() and SEEN.read_text() == fingerprint()


def refresh() -> bool:
    """Bring dvc.yaml and the code digests up to date; True when the text of dvc.yaml changed.

    Raises UserError if params.yaml or a rule is at fault.
    """
    from holdfast.common import section
    from holdfast.params.validation import validate

    before = fingerprint()
    validate()
    sweeps_changed = write_sweeps(section.load())
    jobs = list_jobs()
    text, digests = HEADER + render(jobs, section.load()), render_digests(jobs)
    changed = not DVC_FILE.is_file() or DVC_FILE.read_text(encoding="utf-8") != text
    digests_changed = not DIGESTS.is_file() or DIGESTS.read_text(encoding="utf-8") != digests
    if changed:
        replace_text(DVC_FILE, text)
    if digests_changed:
        replace_text(DIGESTS, digests)
    if not changed and not digests_changed and not sweeps_changed and fingerprint() != before:
        return False  # a file was edited meanwhile: the next call checks again
    replace_text(SEEN, fingerprint())
    return changed


def write_sweeps(params: dict[str, Any]) -> bool:
    """Bring the file of the arms of sweeps up to date; True when its text changed. Without sweeps there is none."""
    import yaml

    from holdfast.params.sweeps import swept

    found = swept(params)
    text = yaml.safe_dump(found, sort_keys=False, width=10**6, allow_unicode=True) if found else None
    before = SWEEPS.read_text(encoding="utf-8") if SWEEPS.is_file() else None
    if text is not None and text != before:
        replace_text(SWEEPS, text)
    elif text is None:
        SWEEPS.unlink(missing_ok=True)
    return text != before


def stage_name(job: Job) -> str:
    """The name of the job's stamp file."""
    stamps = [Path(path).name for path in job.inputs if Path(path).parent == STAMPS]
    if len(stamps) != 1:
        raise UserError(f"rule {job.rule}: needs exactly one input {STAMPS}/NAME, has {len(stamps)}")
    return stamps[0]


def declared(shell: str) -> list[str]:
    """The keys of params.yaml after `--params` in a job's shell command; there may be none."""
    words = [*shlex.split(shell), "--"]
    keys = words[words.index("--params") + 1] if "--params" in words else "--"
    return [] if keys.startswith("--") else sorted(set(keys.split(",")))


def code_modules(shell: str) -> list[str]:
    """The modules after `--code` in a job's shell command."""
    words = shlex.split(shell)
    return words[words.index("--code") + 1].split(",") if "--code" in words else []


def _digest_key(module: str) -> str:
    return module.replace(".", "/")  # DVC takes a dot for a level of nesting


def environment(shell: str) -> str:
    """The environment's name after `--env`, which may be given as the path of its package list."""
    words = shlex.split(shell)
    return Path(words[words.index("--env") + 1]).stem if "--env" in words else ""


def stages(jobs: Iterable[Job], params: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """DVC's stages by name. Raises UserError, naming the rule, when a rule cannot be made a stage."""
    from holdfast.common import section
    from holdfast.params.sweeps import swept

    of_sweeps = swept(params)
    result: dict[str, dict[str, Any]] = {}
    for job in sorted(jobs, key=lambda job: (job.rule, job.outputs)):
        name = stage_name(job)
        if name in result:
            raise UserError(f"rule {job.rule}: two jobs use the stamp {name}; put the rule's wildcards into its name")
        if "\n" in job.shell or "${" in job.shell:
            raise UserError(
                f"rule {job.rule}: the shell command must be one line without '${{': DVC runs the same text"
            )
        if shlex.split(job.shell)[:3] != ["exec", "envs/job", name]:
            raise UserError(
                f"rule {job.rule}: the shell command must begin with 'exec envs/job {name}', found: {job.shell[:60]}"
            )
        if not code_modules(job.shell):
            raise UserError(
                f"rule {job.rule}: needs the parameter code=code(MODULE) and '--code {{params.code}}' in its command"
            )
        if f"envs/{environment(job.shell)}.txt" not in job.inputs:
            raise UserError(
                f"rule {job.rule}: needs the input env=env(NAME) and '--env {{input.env}}' in the shell command"
            )
        keys, swept_keys = [], []
        for key in declared(job.shell):
            if section.look_up(params, key) is not section.ABSENT:
                keys.append(key)
            elif section.look_up(of_sweeps, key) is not section.ABSENT:
                swept_keys.append(key)
            else:
                raise UserError(f"rule {job.rule}: declares {key}, which is not in params.yaml; add it there")
        stage: dict[str, Any] = {"cmd": job.shell}
        stage["deps"] = sorted({path for path in job.inputs if Path(path).parent != STAMPS})
        digests = [{str(DIGESTS): [_digest_key(module) for module in code_modules(job.shell)]}]
        stage["params"] = keys + [{SWEPT: swept_keys}] * bool(swept_keys) + digests
        stage["outs"] = sorted(job.outputs)
        result[name] = stage
    return result


def render(jobs: Iterable[Job], params: dict[str, Any]) -> str:
    """The text of dvc.yaml without its first line."""
    import yaml

    from holdfast.params.sweeps import swept

    check = {
        "cmd": "envs/in-env core python -m holdfast.build.dvc_file",
        "desc": "regenerates dvc.yaml after a change of rules, parameters or code, and fails if it was out of date",
        "deps": [*map(str, sources()), str(CODE)],
        "outs": [str(DIGESTS), *([SWEPT] if swept(params) else [])],
    }
    built = stages(jobs, params)
    outs = sorted(out for stage in built.values() for out in stage["outs"])
    whole: dict[str, Any] = {"stages": {WORKFLOW: check, **built}}
    metrics = [out for out in outs if out.startswith("metrics/") and out.endswith(".json")]
    curves = [{out: {"x": "step", "y": "loss"}} for out in outs if out.startswith("plots/") and out.endswith(".csv")]
    whole |= ({"metrics": metrics} if metrics else {}) | ({"plots": curves} if curves else {})
    return yaml.safe_dump(whole, sort_keys=False, width=10**6, allow_unicode=True)


def render_digests(jobs: Iterable[Job]) -> str:
    """The text of the file of code digests."""
    import yaml

    from holdfast.build.code_digest import code_digest

    modules = sorted({module for job in jobs for module in code_modules(job.shell)})
    return yaml.safe_dump({_digest_key(module): code_digest(module) for module in modules})


def command(subparsers: Any) -> None:
    """Add `dvc` to the command line."""
    parser = subparsers.add_parser("dvc", help="regenerate dvc.yaml from the Snakefile and params.yaml")
    parser.add_argument("--check", action="store_true", help="exit with status 1 if dvc.yaml was out of date")
    parser.set_defaults(run=_regenerate)


def _regenerate(arguments: Any) -> int:
    changed = refresh()
    print("dvc.yaml was out of date and has been regenerated" if changed else "dvc.yaml is up to date")
    return int(changed and arguments.check)


def main() -> int:
    """What the stage `workflow` runs."""
    try:
        if not current() and refresh():
            raise UserError(OUTDATED)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
