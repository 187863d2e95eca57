"""Each question is asked once: what is known from the journal or from a pulled output is not asked again."""

import hashlib
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import polars as pl
import pytest
import yaml

from holdfast.chat.template import load_tokenizer
from holdfast.common.errors import UserError
from holdfast.common.progress import is_transient
from holdfast.inference.ask import ANSWERS, ask, pending
from holdfast.inference.engines import ENGINES
from holdfast.inference.fingerprint import fingerprint
from holdfast.inference.params import Model, Rates, Sampling
from server import model, questions, served

pytestmark = pytest.mark.usefixtures("empty_folder")


@pytest.fixture
def server():
    with served() as server:
        yield server


def run(server, asked, **settings):
    return ask("m", model(server, **settings), asked, len(asked), step="test").collect()


def test_answers_come_in_the_order_asked_and_identical_questions_are_asked_once(server):
    asked = questions(20)
    twice = [*asked, *(request._replace(id=f"again {request.id}") for request in reversed(asked))]
    answers = run(server, twice)
    assert dict(answers.schema) == ANSWERS
    assert answers["id"].to_list() == [request.id for request in twice]
    assert answers["text"].to_list() == [f"answer {r.seed} to question {r.seed}" for r in twice]
    assert answers["seed"].to_list() == [r.seed for r in twice]
    assert set(server.tries.values()) == {1}


def test_only_new_rows_are_asked_and_the_plan_says_so_before(server, capsys):
    first = run(server, questions(100))
    more = questions(110)
    plan = pending("m", model(server), more)
    assert (plan.asked, plan.reused, plan.max_output_tokens) == (10, 100, 80)
    capsys.readouterr()
    second = run(server, more)
    assert "110 rows done, 100 reused, 10 asked" in capsys.readouterr().out
    assert sum(server.tries.values()) == 110
    assert second.head(100).equals(first)
    assert pending("m", model(server), more)[:2] == (0, 110)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 99},
        {"sampling": Sampling(max_tokens=8, temperature=0.9)},
        {"sampling": Sampling(max_tokens=9)},
        {"stop_ids": (3,)},
        {"logprobs_of": ("1",)},
        {"messages": (("system", "x"), ("user", "question 0"))},
        {"messages": (("system", "question 0"),)},
        {"messages": None, "prompt_ids": (1,)},
    ],
)
def test_whatever_the_answer_depends_on_asks_again(server, change):
    (request,) = questions(1)
    run(server, [request])
    assert pending("m", model(server), [request._replace(**change)]).asked == 1
    assert pending("m", model(server), [request._replace(id="other")]).asked == 0


def test_settings_of_the_model_ask_again_only_where_they_change_answers(server):
    run(server, questions(1))

    def asked(**settings):
        return pending("m", model(server, **settings), questions(1)).asked

    rates = Rates(input_per_million_tokens=3.0)
    assert asked(rates=rates, concurrency=3, timeout_s=9.0, licence="MIT", policy=["x"], max_failed_share=0.5) == 0
    assert asked(engine_args={"reasoning_effort": "low"}) == 1
    assert asked(revision="2") == 1
    (greedy,) = questions(1, sampling=Sampling(temperature=0.0, max_tokens=8))
    run(server, [greedy])
    same = greedy._replace(seed=5, sampling=Sampling(temperature=0.0, max_tokens=8, top_p=0.5))
    assert pending("m", model(server), [same]).asked == 0, "greedy answers depend on neither seed nor top_p"


def test_a_folder_s_content_is_the_model_and_engine_arguments_for_speed_are_not(tmp_path):
    folder = tmp_path / "models" / "a"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "weights.safetensors").write_bytes(b"w" * 1000)
    here = Model(path="models/a")
    before = fingerprint("a", here)
    (folder / "README.md").write_text("words")
    (folder / "checkpoint-5").mkdir()
    (folder / "checkpoint-5" / "weights.safetensors").write_bytes(b"v")
    fast = {"max_num_seqs": 8, "gpu_memory_utilization": 0.5, "tensor_parallel_size": 2}
    assert fingerprint("b", here.model_copy(update={"engine_args": fast, "gpus": 2})) == before
    assert fingerprint("a", here.model_copy(update={"engine_args": {"dtype": "float16"}})) != before
    assert fingerprint("a", here.model_copy(update={"engine": "transformers"})) != before
    given = here.model_copy(update={"chat_template": str(tmp_path / "mine.jinja")})
    with pytest.raises(UserError, match=r"models\.a\.chat_template: .*mine\.jinja: No such file"):
        fingerprint("a", given)
    (tmp_path / "mine.jinja").write_text("one")
    one = fingerprint("a", given)
    (tmp_path / "mine.jinja").write_text("two")
    assert len({before, one, fingerprint("a", given)}) == 3
    folder.rename(tmp_path / "models" / "b")
    assert fingerprint("a", Model(path="models/b")) == before
    (tmp_path / "models" / "b" / "weights.safetensors").write_bytes(b"w" * 999 + b"v")
    assert fingerprint("a", Model(path="models/b")) != before


def test_a_tokenizer_folder_of_its_own_counts_by_its_content(tmp_path):
    for folder in ("a", "tokens"):
        (tmp_path / "models" / folder).mkdir(parents=True)
        (tmp_path / "models" / folder / "config.json").write_text("{}")
    given = Model(path="models/a", engine_args={"tokenizer": "models/tokens"})
    assert list(given.files.values()) == ["models/a", "models/tokens"]
    before = fingerprint("a", given)
    assert before != fingerprint("a", Model(path="models/a"))
    (tmp_path / "models" / "tokens" / "tokenizer.json").write_text("{}")
    assert fingerprint("a", given) != before


def test_a_model_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "models" / "base").mkdir(parents=True)
    with pytest.raises(UserError, match="there is no folder models/bass; did you mean models/base"):
        fingerprint("m", Model(path="models/bass"))
    with pytest.raises(UserError, match=r"holds no config\.json"):
        fingerprint("m", Model(path="models/base"))
    (tmp_path / "models" / "base" / "config.json").write_text("{")
    with pytest.raises(UserError, match="is damaged"):
        fingerprint("m", Model(path="models/base"))
    assert fingerprint("m", Model(path="nobody/nothing"), online=False) == ""


OFFLINE = """
import holdfast.inference.engines.renderer, holdfast.inference.fingerprint, holdfast.chat.template
from holdfast.common.errors import UserError
from holdfast.inference.params import Model
for load in (
    lambda: holdfast.inference.fingerprint.fingerprint("m", Model(path="nobody/nothing")),
    lambda: holdfast.inference.engines.renderer.Renderer("m", "nobody/nothing", "0" * 40),
    lambda: holdfast.chat.template.load_tokenizer("nobody/nothing"),
):
    try:
        load()
    except UserError as error:
        print(error)
"""


def test_without_the_hub_the_way_to_it_is_said():
    environ = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", OFFLINE], env=environ, capture_output=True, text=True, check=True)
    said = done.stdout.splitlines()
    assert len(said) == 3
    assert all(line.endswith("run `HF_HUB_OFFLINE=0 TRANSFORMERS_OFFLINE=0 snakemake …`") for line in said)


def test_a_folder_without_a_tokenizer_is_no_matter_of_the_hub(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=r"check its tokenizer files$"):
        load_tokenizer(str(tmp_path))


def record(output: str, content: bytes) -> None:
    """Put `content` into DVC's cache as the version of `output` that dvc.lock records."""
    digest = hashlib.md5(content).hexdigest()
    cached = Path(".dvc/cache/files/md5") / digest[:2] / digest[2:]
    cached.parent.mkdir(parents=True, exist_ok=True)
    cached.write_bytes(content)
    outs = [{"path": output, "hash": "md5", "md5": digest, "size": len(content)}]
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": {"generate-m": {"cmd": "x", "outs": outs}}}))


def test_a_pulled_output_fills_an_empty_journal(server, tmp_path, capsys):
    first = run(server, questions(100)).rename({"text": "response"}).drop("time_s", "logprobs")
    first.write_parquet("out.parquet")
    record("data/out.parquet", Path("out.parquet").read_bytes())
    Path(".holdfast").rename("lost")
    assert pending("m", model(server), questions(110), "data/out.parquet", "response")[:2] == (10, 100)
    answers = ask(
        "m", model(server), questions(110), 110, step="test", output="data/out.parquet", text_column="response"
    ).collect()
    assert "100 answers taken from the version of data/out.parquet in DVC's cache" in capsys.readouterr().out
    assert sum(server.tries.values()) == 110
    assert answers["text"].to_list() == [f"answer {i} to question {i}" for i in range(110)]
    assert run(server, questions(110))["text"].equals(answers["text"])


@pytest.mark.parametrize("spoil", ["content", "other settings", "no cache"])
def test_a_pulled_output_is_used_only_if_it_is_intact_and_matches(server, spoil):
    first = run(server, questions(5)).drop("time_s")
    first.write_parquet("out.parquet")
    record("data/out.parquet", Path("out.parquet").read_bytes())
    Path(".holdfast").rename("lost")
    (cached,) = (path for path in Path(".dvc/cache").rglob("*") if path.is_file())
    asked = questions(5)
    if spoil == "content":
        first.with_columns(pl.lit("wrong").alias("text")).write_parquet(cached)
    elif spoil == "other settings":
        asked = questions(5, sampling=Sampling(max_tokens=9))
    else:
        cached.unlink()
    assert pending("m", model(server), asked, "data/out.parquet").asked == 5
    answers = ask("m", model(server), asked, 5, step="test", output="data/out.parquet").collect()
    assert answers["text"].to_list() == [f"answer {i} to question {i}" for i in range(5)]
    assert sum(server.tries.values()) == 10


def test_a_version_whose_answers_are_all_in_the_journal_is_not_mentioned(server, capsys):
    run(server, questions(5)).drop("time_s").write_parquet("out.parquet")
    record("data/out.parquet", Path("out.parquet").read_bytes())
    ask("m", model(server), questions(7), 7, step="test", output="data/out.parquet")
    said = [line for line in capsys.readouterr().out.splitlines() if not is_transient(line)]
    assert said
    assert not any("DVC's cache" in line for line in said), said


def test_every_engine_that_params_yaml_may_name_is_listed():
    assert set(get_args(Model.model_fields["engine"].annotation)) == set(ENGINES)
    assert all(find_spec(module) for module in ENGINES.values())
