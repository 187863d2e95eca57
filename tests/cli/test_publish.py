"""`holdfast publish` as users run it: the real client of the Hugging Face hub, against a hub of the tests' own."""

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from datasets import load_dataset
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from holdfast.cli import publications, publish
from holdfast.cli.published_card import LICENCES, front_matter, licence_keys
from holdfast.common.errors import UserError
from holdfast.common.files import write_table
from holdfast.params.schema import Params
from holdfast.steps.preferences.card import card
from holdfast.steps.preferences.tables import PREFERENCES
from hub import Hub, Repo, hub
from small_tokenizers import tokenizer
from templates import SHAPES
from toy_project import ROOT

BIN = Path(sys.executable).parent
FILES = {"README.md", "train.jsonl", "val.jsonl", "train.parquet", "val.parquet"}
SET = "me/my-set"


class Project:
    """A checkout of the real chain, in which only mixtures are built."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings: dict[str, str] = {}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        mine = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "PYTEST_", "HF_"))}
        mine |= {"PATH": f"{BIN}:{mine['PATH']}", "PYTHONPATH": "src", "COLUMNS": "120"}
        mine |= {"HF_HOME": str(self.folder / "hf"), "HF_HUB_DISABLE_XET": "1"} | self.settings
        return subprocess.run([*words], cwd=self.folder, capture_output=True, text=True, timeout=300, env=mine)

    def publish(self, *words: str) -> str:
        done = self.run("holdfast", "publish", *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def refused(self, *words: str) -> str:
        """What a command says that fails, which is one error and no traceback."""
        done = self.run("holdfast", "publish", *words)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        return line

    def set(self, **values: Any) -> None:
        params = yaml.safe_load((self.folder / "params.yaml").read_text())
        (self.folder / "params.yaml").write_text(yaml.safe_dump(params | values))


def rows(word: str, count: int) -> str:
    talks = (
        [{"role": "user", "content": f"{word} {n}?"}, {"role": "assistant", "content": str(n)}] for n in range(count)
    )
    return "".join(json.dumps({"messages": talk}) + "\n" for talk in talks)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two mixtures, of which the second is not built."""
    folder = tmp_path_factory.mktemp("published") / "project"
    for name in ("src", "rules", "envs", "profiles", "examples", "data/seed"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Snakefile", ".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    tokenizer(SHAPES["chatml"]).save_pretrained(folder / "own/base")
    (folder / "own/base/config.json").write_text("{}")
    outside = folder.parent / "clients/domain.jsonl"
    outside.parent.mkdir()
    outside.write_text(rows("Domain", 60))
    (folder / "public.jsonl").write_text(rows("Public", 60))
    params = yaml.safe_load((ROOT / "examples/paper.yaml").read_text())
    params |= {
        "base": "base",
        "environments": {},
        "models": {"base": {"path": "./own/base", "licence": "Gemma", "policy": ["may_train"]}},
        "policy": {"require": ["may_train"]},
        "generate": {"samples": 1, "models": {"base": {}}},
        "score": {"judges": {"base": {}}},
        "evaluate": {"suites": {"general": params["evaluate"]["suites"]["domain"] | {"path": "items.jsonl"}}},
        "sources": {
            "domain": {"path": str(outside), "licence": "Apache-2.0", "policy": ["may_train"]},
            "public": {"path": "public.jsonl", "licence": "MIT", "policy": ["may_train"]},
        },
        "arms": {"mixed": {"sources": {"domain": 0.5, "public": 0.5}}, "single": {"sources": {"domain": 1.0}}},
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    (folder / "items.jsonl").write_text(json.dumps({"prompt": "What is far from all of this?", "answer": "It"}) + "\n")
    project = Project(folder)
    project.run("git", "init", "-q")
    done = project.run("snakemake", "--cores", "1", "data/mix/mixed/train.jsonl")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def there() -> Iterator[Hub]:
    with hub() as running:
        yield running


@pytest.fixture
def project(built: Path, tmp_path: Path, there: Hub) -> Project:
    shutil.copytree(built, tmp_path / "project", symlinks=True)
    project = Project(tmp_path / "project")
    project.settings = {"HF_ENDPOINT": there.url, "HF_TOKEN": "hf_me"}
    return project


@pytest.mark.workflow
def test_first_shown_then_uploaded_then_unchanged(project: Project, there: Hub, tmp_path: Path) -> None:
    said = project.publish("mixed", SET)
    assert f"Mixture mixed → {there.url}/datasets/{SET} (new, private, as user me)" in said
    assert any(line.split()[:1] + line.split()[-2:] == ["train.jsonl", "118", "new"] for line in said.splitlines())
    assert "source domain" in said
    assert "MIT" in said
    assert "policy.require: may_train: all have it" in said
    assert "  path: train.parquet" in said
    assert f"Nothing has been uploaded. To upload: holdfast publish mixed {SET} --yes" in said
    assert there.writes() == []

    said = project.publish("mixed", SET, "--yes")
    assert f"Published (private): {there.url}/datasets/{SET}" in said
    repo = there.repos[SET]
    assert repo.private
    assert repo.commits == ["Mixture mixed: 118 rows to train on, 2 to validate with"]
    assert set(repo.files) == FILES
    for name in FILES - {"README.md"}:
        assert repo.files[name] == (project.folder / "data/mix/mixed" / name).read_bytes()
    card = repo.files["README.md"].decode()
    assert yaml.safe_load(front_matter(card))["license"] == ["apache-2.0", "mit"]
    assert f'load_dataset("{SET}")' in card
    assert "clients" not in card, "no folder of the user's machine"
    assert "domain.jsonl" in card
    for name, content in repo.files.items():
        (tmp_path / "got").mkdir(exist_ok=True)
        (tmp_path / "got" / name).write_bytes(content)
    loaded = load_dataset(str(tmp_path / "got"), cache_dir=str(tmp_path / "cache"))
    assert {name: len(split) for name, split in loaded.items()} == {"train": 118, "validation": 2}

    there.writes()
    assert "has these files already" in project.publish("mixed", SET, "--yes")
    assert there.writes() == []
    said = project.publish("mixed", SET)
    assert said.count("unchanged") == 5
    assert "has these files already" in said
    assert "--yes" not in said
    repo.files["README.md"] += b"A line of the user's.\n"
    project.publish("mixed", SET, "--yes")
    assert [line.partition(" ")[0] for line in there.writes()] == ["POST"], "a commit of the card alone"


@pytest.mark.workflow
def test_a_public_set_and_one_that_is_not_what_was_asked_for(project: Project, there: Hub) -> None:
    assert "--public --yes" in project.publish("mixed", SET, "--public")
    assert "Published (public)" in project.publish("mixed", SET, "--public", "--yes")
    assert not there.repos[SET].private
    there.writes()
    assert "is public already: add --public" in project.refused("mixed", SET, "--yes")
    assert "Before you upload: me/my-set is public already" in project.publish("mixed", SET)
    assert not any(line.endswith(" ") for line in project.publish("mixed", SET).splitlines()), "no padding in a pipe"
    there.repos[SET].private = True
    assert "exists and is private: leave --public out" in project.refused("mixed", SET, "--public", "--yes")
    assert there.writes() == []


@pytest.mark.workflow
def test_faults_of_the_build_name_the_repair(project: Project, there: Hub) -> None:
    assert "has no arm mixd; did you mean mixed?" in project.refused("mixd", SET)
    assert "build it with `snakemake --cores all data/mix/single/train.jsonl`" in project.refused("single", SET)
    assert "name its owner too" in project.refused("mixed", "my-set")
    assert "is no name for a repository" in project.refused("mixed", "me/my set")
    project.set(policy={"require": ["may_train", "may_share"]})
    assert "sources.domain.policy: lacks may_share" in project.run("holdfast", "publish", "mixed", SET).stderr
    project.set(policy={"require": []}, random_seed=7)
    said = project.refused("mixed", SET, "--yes")
    assert "is out of date (`holdfast plan` says why); build it with `snakemake" in said
    project.set(random_seed=0)
    assert "policy.require is empty: no tags were checked" in project.publish("mixed", SET)
    with (project.folder / "data/mix/mixed/train.jsonl").open("a") as file:
        file.write("{}\n")
    assert "is out of date" in project.refused("mixed", SET, "--yes"), "an edited output is not published"
    assert there.writes() == []


@pytest.mark.workflow
def test_faults_of_the_hub_name_the_repair(project: Project, there: Hub) -> None:
    there.repos["other/set"] = Repo(private=True)
    there.repos["other/open"] = Repo(private=False)
    assert "me may not write to other/mine" in project.refused("mixed", "other/mine", "--yes")
    assert "me may not write to other/set" in project.refused("mixed", "other/set", "--yes")
    assert "me may not write to other/open" in project.refused("mixed", "other/open", "--public", "--yes")
    assert not there.repos["other/open"].files
    project.settings["HF_TOKEN"] = "hf_expired"
    assert "the token is not valid: log in again with `hf auth login`" in project.refused("mixed", SET, "--yes")
    del project.settings["HF_TOKEN"]
    assert "no Hugging Face token: log in with `hf auth login`" in project.refused("mixed", SET, "--yes")
    shown = project.publish("mixed", SET)
    assert "Before you upload: no Hugging Face token" in shown
    assert "train.jsonl" in shown, "what would be uploaded is shown all the same"
    project.settings |= {"HF_TOKEN": "hf_me", "HF_HUB_OFFLINE": "1"}
    assert "because HF_HUB_OFFLINE is set: unset it" in project.refused("mixed", SET, "--yes")
    project.settings |= {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9"}
    assert "asking http://127.0.0.1:9 failed: " in project.refused("mixed", SET, "--yes")


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("fault", "at"),
    [("drop", "repos/create"), ("drop", "preupload"), ("drop", "PUT /lfs/"), ("drop", "/commit/"), (403, "/commit/")],
)
def test_after_a_fault_in_the_middle_the_same_command_ends_it(
    project: Project, there: Hub, fault: str | int, at: str
) -> None:
    there.misbehave = lambda method, path: fault if at in f"{method} {path}" else None
    said = project.refused("mixed", SET, "--yes")
    assert ("it uploads what is still missing" if fault == "drop" else "me may not write to") in said
    assert not any(repo.files for repo in there.repos.values()), "all files or none"
    there.misbehave = lambda method, path: None
    assert "Published (private)" in project.publish("mixed", SET, "--yes")
    assert set(there.repos[SET].files) == FILES


def test_models_behind_the_rows_are_shown_with_their_licences() -> None:
    values = yaml.safe_load((ROOT / "examples/paper.yaml").read_text())
    values["models"]["gpt4"]["licence"] = None
    params = Params.model_validate(values)
    source = {"source": "rehearsal", "licences": [], "train_rows": 9, "val_rows": 1, "models": {params.base: 10}}
    summary = {"sources": [source], "train_rows": 9, "val_rows": 1}
    found = {what: (key, rows) for key, what, rows, _ in publications.parts_of_mixture(summary, params)}
    assert found[f"model {params.base} (wrote the instructions, answers, judge)"] == (f"models.{params.base}", 10)
    assert found["model gpt4 (answers, judge)"] == ("models.gpt4", 0)
    file = io.StringIO()
    card = b"---\nlicense: unknown\n---\n"
    files: dict[str, str | bytes] = {"README.md": card}
    parts = [*publications.parts_of_mixture(summary, params)]
    it = publications.Publication("rehearsed", "Mixture rehearsed", "", SET, False, files, {}, parts)
    publish.show(it, None, params, Console(file=file, width=120, highlight=False, markup=False))
    assert "No licence is given: set models.gpt4.licence in params.yaml" in file.getvalue()


@given(
    st.lists(st.sampled_from(["Apache-2.0", "MIT", "Llama 3 Community (§2)", "eigene_Lizenz", "Gemma"]), unique=True)
)
def test_the_hub_accepts_the_licence_keys(licences: list[str]) -> None:
    keys = licence_keys(licences)
    named = keys["license"] if isinstance(keys["license"], list) else [keys["license"]]
    assert set(named) <= {*LICENCES.split(), "other"}
    assert ("license_name" in keys) == (named == ["other"])
    assert not set(keys.get("license_name", "")) & set(" _(§A")


@pytest.mark.parametrize(
    ("size", "text"), [(812, "812 B"), (3_800, "3.8 kB"), (999_999_999, "1000.0 MB"), (10**12, "1000.0 GB")]
)
def test_sizes_are_written_for_people(size: int, text: str) -> None:
    assert publish.size_text(size) == text


def test_pairs_are_published_with_their_card_and_the_models_behind_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    values = yaml.safe_load((ROOT / "examples/paper.yaml").read_text())
    start = {"preferences": {"arm": "rehearsed", "selection": "selected"}}
    values["arms"]["aligned"] = start | {"train": {"learning_rate": 0.000001, "budget": {"epochs": 1}}}
    params = Params.model_validate(values)
    pair = dict.fromkeys(PREFERENCES) | {"model_chosen": "qwen", "model_rejected": "llama", "margin": 1.5}
    pair |= {"licence_chosen": "Apache-2.0", "licence_rejected": "Llama 3.1 Community"}
    frame = pl.DataFrame([pair] * 3, schema=PREFERENCES, orient="row")
    write_table(frame, "data/preferences/selected.parquet", PREFERENCES)
    written = card(
        frame, frame.clear().with_columns(reason=pl.lit("")), {}, {"selection": "selected", "min_margin": 1}, {}, {}
    )
    Path("data/preferences/selected.md").write_text(written)
    it = publications.pairs(Path("data/preferences/selected.jsonl"), "me/pairs", False, params)
    assert (it.title, it.about) == ("Preference pairs selected", "3 pairs")
    assert it.rows == {"selected.jsonl": 3, "selected.parquet": 3}
    found = {what: rows for _, what, rows, _ in it.parts}
    assert sum(found.values()) == 6
    assert next(rows for what, rows in found.items() if what.startswith("model qwen (")) == 3
    text = it.files["README.md"]
    assert isinstance(text, bytes)
    head = yaml.safe_load(front_matter(text.decode()))
    assert (head["license"], head["license_name"]) == ("other", "apache-2.0-and-llama-3.1-community")
    assert head["configs"][0]["data_files"] == [{"split": "train", "path": "selected.parquet"}]
    assert 'load_dataset("me/pairs", split="train")' in text.decode()
    assert "`selected.rejected.parquet` stays with the build; not in this repository." in text.decode()
    with pytest.raises(UserError, match=r"publish data/preferences/selected.jsonl, or the mixture of rehearsed"):
        publications.check_has_mixture("aligned", params)
