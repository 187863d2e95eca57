"""What changed since the last build, by our reading of DVC's records and by DVC's own."""

import json
import random
import shutil
from pathlib import Path

import pytest

from holdfast.build.versions import Versions
from holdfast.common.errors import UserError
from toy_project import Project

pytestmark = pytest.mark.workflow
FILES = [
    "data/seed/prompts.txt",
    "data/reconstruct/instructions.txt",
    "data/generate/base.txt",
    "data/filter/selected.txt",
    "data/workflow/code.yaml",
    "envs/core.txt",
    "src/holdfast/toy/filter.py",
]


def edit(project: Project, chance: random.Random) -> None:
    """Change, delete or add something."""
    path = project.folder / chance.choice(FILES)
    match chance.randrange(5):
        case 0:
            path.unlink(missing_ok=True)
        case 1:
            path.write_text(path.read_text() + "# more\n" if path.exists() else "new\n")
        case 2:
            params = project.params()
            params["filter"]["threshold"] = chance.random()
            project.set_params(params)
        case 3:
            file = project.folder / "dvc.yaml"
            file.write_text(file.read_text().replace("--prompts", "--prompts ", 1))
        case 4:
            model = project.folder / "models/plain"
            shutil.rmtree(model, ignore_errors=True)
            model.mkdir(parents=True)
            (model / "weights").write_text(str(chance.random()))


def test_the_status_is_dvcs_own(toy: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(toy.folder)
    assert Versions().status() == json.loads(toy.dvc("status", "--json").stdout) == {}
    seen = 0
    for seed in range(8):
        chance = random.Random(seed)
        for _ in range(chance.randint(1, 3)):
            edit(toy, chance)
        expected = json.loads(toy.dvc("status", "--json").stdout)
        assert Versions().status() == expected, f"after the edits of seed {seed}"
        seen += len(expected)
    assert seen > 20


def test_a_record_is_what_dvc_commit_writes(toy: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(toy.folder)
    selected, lock = Path("data/filter/selected.txt"), Path("dvc.lock")
    selected.write_text("by hand\n")
    model = next(Path(out) for out in Versions().stages["train-plain"]["outs"])
    before = lock.read_text()
    for name in ("filter", "train-plain"):
        Versions().record(name)
    ours = lock.read_text()
    lock.write_text(before)
    toy.dvc("commit", "--force", "filter", "train-plain")
    assert ours == lock.read_text()
    selected.unlink()
    versions = Versions()
    assert versions.earlier("filter") == versions.lock.entries["filter"]
    versions.restore("filter")
    assert selected.read_text() == "by hand\n"
    assert model.exists()


def test_what_the_cache_lacks_is_not_restored(toy: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(toy.folder)
    Path("data/filter/selected.txt").unlink()
    shutil.rmtree(".dvc/cache/files")
    versions = Versions()
    assert versions.earlier("filter") is None
    with pytest.raises(UserError, match="cannot restore the outputs of filter"):
        versions.restore("filter")


def test_outside_of_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="not inside of a DVC repository"):
        Versions()
