"""`holdfast journal`: what params.yaml can still use is never offered for deletion."""

from argparse import Namespace
from pathlib import Path

import pytest
import yaml

from holdfast.cli import journal as command
from holdfast.common.errors import UserError
from holdfast.inference import journal
from holdfast.inference.fingerprint import fingerprint
from holdfast.inference.journal import Journal
from holdfast.inference.params import Model
from holdfast.inference.request import Answer

MODELS = {
    "base": {"path": "models/base", "chat_template": "mine.jinja", "engine_args": {"dtype": "float32"}},
    "judge": {"path": "models/judge", "chat_template": "mine.jinja", "engine": "transformers", "revision": "x"},
    "hosted": {"path": "m", "engine": "openai", "url": "http://x/v1"},
    "unpulled": {"path": "./elsewhere/model"},
    "hub": {"path": "nobody/nothing"},
}


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two arms, one of them trained twice."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in ("base", "judge", "mixed", "mixed-s1"):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "config.json").write_text(f'{{"name": "{name}"}}')
    (tmp_path / "mine.jinja").write_text("template")
    write_params(MODELS)
    return tmp_path


def write_params(models: dict[str, object], **changes: object) -> None:
    values = {"base": "base", "models": models, "arms": {"mixed": {}, "other": {}}, "training_seeds": 2}
    Path("params.yaml").write_text(yaml.safe_dump(values | changes))


def keep(name: str, model: Model, rows: int = 2, key: str | None = None) -> str:
    """Put answers of a model into the journal, as a job does; returns its folder's name."""
    key = key or fingerprint(name, model)
    with Journal(key, {"name": name, "path": model.path}) as kept:
        kept.add([Answer(number.to_bytes(16, "big"), "text", "stop") for number in range(rows)], "step")
    return key


def end_of_job() -> None:
    while journal._IN_USE:
        journal._IN_USE.pop().close()


def kept() -> set[str]:
    return {answers.folder.name for answers in command.model_answers()}


def prune(*names: str, stale: bool = False) -> None:
    command.prune(Namespace(names=list(names), stale=stale))


def test_only_what_no_job_of_params_yaml_looks_up_is_stale(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = {name: Model(**settings) for name, settings in MODELS.items()}  # type: ignore[arg-type]
    base = models["base"]
    live = {keep(name, models[name]) for name in ("base", "judge", "hosted")}
    live.add(keep("base", base.model_copy(update={"chat_template": None})))  # as reconstruct asks it
    trained = {"revision": None, "chat_template": None}
    live |= {keep(run, base.model_copy(update={"path": f"models/{run}"} | trained)) for run in ("mixed", "mixed-s1")}
    live |= {keep(name, models[name], key=f"{number}" * 32) for number, name in enumerate(("unpulled", "hub"))}
    assert len(live) == 8
    old = keep("hosted", models["hosted"].model_copy(update={"url": "http://y/v1"}))
    end_of_job()
    assert {answers.folder.name for answers in command.model_answers() if answers.stale} == {old}
    prune(stale=True)
    assert kept() == live
    assert "removed 2 rows of hosted (m)" in capsys.readouterr().out
    prune(stale=True)
    assert "no stale answers" in capsys.readouterr().out

    (project / "mine.jinja").write_text("another template")  # of base and judge
    (project / "models" / "mixed" / "config.json").write_text("{}")
    assert sum(answers.stale for answers in command.model_answers()) == 3
    write_params({"base": MODELS["base"]}, arms={})
    assert sum(not answers.stale for answers in command.model_answers()) == 1  # base, by its own template


def test_a_model_s_answers_are_listed_and_removed_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    hosted = Model(**MODELS["hosted"])  # type: ignore[arg-type]
    keep("hosted", hosted, rows=1234)
    assert "hosted                    1,234" in command.table(command.model_answers())
    with pytest.raises(UserError, match="the journal has no model c"):
        prune("c")
    with pytest.raises(UserError, match="or add --stale"):
        prune()
    with pytest.raises(UserError, match="a job is using the answers of hosted"):
        prune("hosted")
    end_of_job()
    prune("hosted")
    assert command.table(command.model_answers()) == ".holdfast/journal is empty"
    assert "removed 1,234 rows of hosted" in capsys.readouterr().out
    assert Journal(keep("hosted", hosted)).keys, "usable as before"


def test_without_params_nothing_is_removed() -> None:
    keep("hosted", Model(**MODELS["hosted"]))  # type: ignore[arg-type]
    end_of_job()
    Path("params.yaml").write_text("models: [")
    with pytest.raises(UserError, match=r"params\.yaml: not valid YAML"):
        prune(stale=True)
    assert len(list(Path(".holdfast/journal").glob("*/*.parquet"))) == 1
