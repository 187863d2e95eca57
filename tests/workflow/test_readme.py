"""Every command of README.md works as it is typed, in several shells, with `.venv` activated and nothing else set.

The commands are read from README.md when the test runs. They run on the toy chain in place of the sandbox, which takes
a quarter of an hour, and through the same Makefile, environments and `.venv`.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import toy_project
from small_tokenizers import tokenizer
from templates import SHAPES
from toy_project import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAMS = {"snakemake", "dvc", "holdfast", "make", "git", "source", "cd", "python", "pip", "uv", "bash", "sh"}
FRESH, SAME = "check 'Nothing to be done' snakemake -n", "check 'up to date' dvc status"


def edit(old: float, new: float) -> str:
    """A change of one model's temperature."""
    return f"sed -i 's/scholar: {{temperature: {old}}}/scholar: {{temperature: {new}}}/' params.yaml"


# What each command needs here: text that stands in for a placeholder of the README, lines before it, lines after it.
# `check TEXT COMMAND` runs a command and fails unless TEXT is in what it prints.
TABLES = (  # that the toy chain does not have
    "mkdir data/clean && python -c \"import polars as pl; row = {'instruction_id': 'a1', 'instruction': 'The capital?',"
    " 'messages': [{'role': 'user', 'content': 'The capital?'}], 'count': 1, 'slice': 's', 'prompt_id': 'p',"
    " 'language': None, 'candidate_id': 'c', 'model': 'm', 'score': 1.0};"
    " [pl.DataFrame([row]).write_parquet(path)"
    " for path in ('data/clean/instructions.parquet', 'data/filter/selected.parquet')]\""
)
NEEDS: dict[str, tuple[dict[str, str], list[str], list[str]]] = {
    "git clone <this repository> holdfast": ({"<this repository>": "$ORIGIN"}, [], []),
    "cd holdfast": ({}, [], []),
    "make demo": ({}, [], []),
    "make env": ({}, [], []),
    "source .venv/bin/activate": ({}, [], ["test -z \"${PYTHONPATH:-}\""]),
    "snakemake -n": ({}, [], [FRESH, "check 'Nothing to be done' python -m snakemake -n"]),
    "dvc status": ({}, [], ["cd data", SAME, "cd .."]),
    "holdfast plan": ({}, [], ["cd data/seed", "check 'up to date' holdfast plan", "cd ../.."]),
    "holdfast show capital": ({}, [TABLES], []),
    "holdfast sample filter": ({}, [], ["rm -r data/clean data/filter/selected.parquet"]),
    "holdfast init --base ./models/my-model --domain my-data.csv": (  # tests/cli/test_init.py
        {"--base ./models/my-model --domain my-data.csv": "--help"}, [], []
    ),
    "holdfast pilot": ({"pilot": "pilot --help"}, [], []),  # the toy chain has no models: tests/cli/test_pilot.py
    "holdfast tune": ({"tune": "tune --help"}, [], []),  # tests/workflow/test_tune.py
    "holdfast check": ({}, [], []),
    "holdfast publish rehearsed me/my-set": (  # tests/cli/test_publish.py
        {"rehearsed me/my-set": "--help"}, [], []
    ),
    "snakemake --cores all": (
        {},
        [edit(1.0, 0.5), "check generate-scholar holdfast plan", "check data/generate/scholar.txt snakemake -n"],
        [FRESH, SAME],
    ),
    "snakemake --cores all dataset": (
        {},
        [edit(0.5, 0.9)],
        ["test -s data/mix/rehearsed/train.jsonl", "snakemake --cores all"],
    ),
    "dvc repro": ({}, [], [SAME, FRESH]),
    "HF_HUB_OFFLINE=0 TRANSFORMERS_OFFLINE=0 snakemake": ({}, [], []),
    "holdfast prefix MODEL": ({"MODEL": "$MODEL"}, [], []),
    "snakemake --profile profiles/gpu": ({}, [], []),
    "dvc remote add -d store s3://bucket/path": ({"s3://bucket/path": "$REMOTE"}, [], []),
    "git add .dvc/config dvc.yaml dvc.lock params.yaml": ({}, [], []),
    'git commit -m "Build"': ({}, [], []),
    "dvc push": ({}, [], []),
    "dvc pull": (
        {},
        ["cd ..", "git clone -q holdfast colleague", "cd colleague"],
        [FRESH, SAME, edit(0.9, 0.1), "check data/generate/scholar.txt snakemake -n"],
    ),
    "dvc import <repository> data/mix/rehearsed/train.jsonl": (
        {"<repository>": "../holdfast"},
        ["mkdir ../other", "cd ../other", "git init -q", "dvc init -q"],
        ["test -s train.jsonl"],
    ),
    "dvc update": ({"update": "update train.jsonl.dvc"}, [], []),
}  # fmt: skip
# Inline commands, in the order in which they can be run after those of the console blocks
INLINE = [
    "make env", "dvc repro", "holdfast prefix MODEL", "holdfast pilot", "holdfast tune",
    "snakemake --profile profiles/gpu", "HF_HUB_OFFLINE=0 TRANSFORMERS_OFFLINE=0 snakemake", "dvc pull",
    "dvc import <repository> data/mix/rehearsed/train.jsonl", "dvc update",
]  # fmt: skip
CHECK = """
check() {
  wanted=$1; shift
  said=$("$@" 2>&1) || { echo "$said"; echo "FAILED: $*"; exit 1; }
  case $said in *"$wanted"*) ;; *) echo "$said"; echo "NOT SAID: $wanted"; exit 1 ;; esac
}
"""
REPORT = """
import json
from holdfast.steps.report.params import Report
from holdfast.toy import common

args = common.arguments("summary", many=("models",))
common.write(args.summary, [json.dumps({"arms": {"base": {}}} | Report().model_dump(mode="json"))])
"""
DATASET = """

rule mixture:
    input:
        selected="data/filter/selected.txt",
        env=env("core"),
        stamp=".holdfast/stamps/mixture",
    output:
        train="data/mix/rehearsed/train.jsonl",
    log:
        "logs/mixture.log",
    params:
        code=code("holdfast.toy.filter"),
    shell:
        "exec envs/job mixture --env {input.env:q} --code {params.code} --log {log:q} --"
        " cp {input.selected:q} {output.train:q}"


rule dataset:
    input:
        "data/mix/rehearsed/train.jsonl",
"""


def console() -> list[str]:
    """The lines of the README's console blocks, less comments and prompts."""
    blocks = re.findall(r"^```(?:console|sh|bash)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    lines = [re.sub(r"\s+#.*$", "", line).strip() for block in blocks for line in block.splitlines()]
    return [line.removeprefix("$ ") for line in lines if line and not line.startswith("#")]


def inline() -> list[str]:
    """Code in the text that is a command with arguments."""
    prose = re.sub(r"^```.*?^```", "", README, flags=re.MULTILINE | re.DOTALL)
    found = []
    for span in re.findall(r"`([^`]+)`", prose):
        words = [word for word in span.split() if not re.fullmatch(r"[A-Z_]+=\S*", word)]
        if words and words[0] in PROGRAMS and len(span.split()) > 1:
            found.append(" ".join(span.split()))
    return found


def test_every_command_is_known() -> None:
    unknown = [command for command in [*console(), *inline()] if command not in NEEDS]
    assert not unknown, f"README.md has {unknown}; say in NEEDS what they need"
    unplaced = set(inline()) - {*console(), *INLINE}
    assert not unplaced, f"README.md has {sorted(unplaced)} in its text; give them a place in INLINE"


def session(shell: str) -> list[str]:
    """The lines that a user types, with what the test checks in between."""
    typed = []
    named = [command for command in INLINE if command in inline()]
    for command in [*console(), *named]:
        stands, before, after = NEEDS[command]
        text = command
        for placeholder, real in stands.items():
            text = text.replace(placeholder, real)
        if text.startswith("source ") and shell in ("sh", "dash"):  # POSIX has no `source`
            text = "." + text.removeprefix("source").replace(" .venv", " ./.venv")
        typed += [*before, f"echo {shlex.quote('> ' + text)}", text, *after]
    return typed


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository that is cloned, and beside it a model's folder."""
    project = toy_project.make(tmp_path_factory.mktemp("readme") / "origin")
    shutil.copy(ROOT / "Makefile", project.folder)
    (project.folder / "src/holdfast/toy/report.py").write_text(REPORT)
    rules = project.folder / "rules/toy.smk"
    rules.write_text(rules.read_text() + DATASET)
    snakefile = project.folder / "Snakefile"
    snakefile.write_text(snakefile.read_text() + '        "data/mix/rehearsed/train.jsonl",\n')
    project.commit()
    tokenizer(SHAPES["chatml"]).save_pretrained(project.folder.parent / "model")
    return project.folder


def clean_environment(origin: Path, folder: Path) -> dict[str, str]:
    """What `env -i` leaves, and where the test's own places are."""
    python = Path(getattr(sys, "_base_executable", sys.executable)).parent
    kept = {key: os.environ[key] for key in ("HOME", "HOLDFAST_ENVS", "XDG_CACHE_HOME") if key in os.environ}
    who = {f"GIT_{role}_{what}": "toy" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    places = {"ORIGIN": str(origin), "MODEL": str(origin.parent / "model"), "REMOTE": str(folder / "remote")}
    return kept | who | places | {"PATH": f"{python}:/usr/local/bin:/usr/bin:/bin"}


@pytest.mark.workflow
@pytest.mark.parametrize("shell", ["bash", "dash", "zsh"])
def test_the_readme_as_it_is_typed(origin: Path, tmp_path: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here; install it to test the README's commands under it")
    script = CHECK + "\n".join(session(shell)) + "\n"
    environment = clean_environment(origin, tmp_path)
    if shell == "zsh":  # DVC runs stages with the user's shell; elsewhere it is left unset
        environment["SHELL"] = str(shutil.which("zsh"))
    done = subprocess.run(
        [shell, "-ec", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


@pytest.mark.workflow
def test_by_absolute_path(origin: Path, tmp_path: Path) -> None:
    """Without activating anything, from another folder where the tool can, as a user whose shell is none."""
    environment = clean_environment(origin, tmp_path) | {"SHELL": "/usr/sbin/nologin"}
    clone = tmp_path / "a clone"
    subprocess.run(["git", "clone", "-q", origin, clone], env=environment, check=True)
    subprocess.run([clone / "envs/in-env", "--link"], env=environment, check=True)
    tools = clone / ".venv/bin"
    for folder, words in (
        ("", [tools / "snakemake"]),
        ("data/seed", [tools / "dvc", "status"]),
        ("data/seed", [tools / "holdfast", "plan"]),
        ("", [tools / "python", "-m", "snakemake", "-n"]),
        ("data/seed", [tools / "snakemake", "-n", "--directory", clone, "--snakefile", clone / "Snakefile"]),
    ):
        done = subprocess.run(words, cwd=clone / folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{words}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
