"""The reconstruct step: the requests it makes, and conversations from a real engine."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from chain import ask_apart
from holdfast.chat.prequery import derive
from holdfast.chat.template import Template
from holdfast.chat.user_turns import user_turns
from holdfast.common.errors import UserError
from holdfast.common.tables import PROMPTS, SAMPLES
from holdfast.inference.ask import ANSWERS
from holdfast.inference.params import Sampling
from holdfast.steps.reconstruct.__main__ import main
from holdfast.steps.reconstruct.conversations import Conversations
from holdfast.steps.reconstruct.params import MultiTurn
from holdfast.steps.reconstruct.samples import first_turns, requests
from models import ROOT, tiny_model
from small_tokenizers import tokenizer
from templates import SHAPES

DRAWN = Sampling(temperature=1.0, top_p=0.98, max_tokens=32)


def prompt(name: str, samples: int, **values: Any) -> dict[str, Any]:
    shared = {"prompt_id": name, "kind": "template", "slice": "general", "samples": samples, "boundary": ""}
    shared |= {"prefix_ids": [1, 2], "stop_ids": [3], "marks": ["<|im_end|>"]}
    shared["rendering"] = json.dumps({"options": {}, "date": "2024-03-05"})
    return dict.fromkeys(PROMPTS) | shared | values


def prompts(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=PROMPTS)


def test_more_samples_keep_the_requests_of_fewer() -> None:
    few = list(requests(prompts(prompt("a", 3), prompt("b", 2)), DRAWN, 7))
    more = list(requests(prompts(prompt("a", 5), prompt("b", 2)), DRAWN, 7))
    assert len({r.id for r in more}) == len({r.seed for r in more}) == 7
    assert set(few) <= set(more)
    assert {r.seed for r in requests(prompts(prompt("a", 3)), DRAWN, 8)}.isdisjoint(r.seed for r in few)


def answers(*rows: tuple[str, str, str]) -> pl.DataFrame:
    """(id, text, finish_reason) as an engine's answers."""
    return pl.DataFrame(
        [dict.fromkeys(ANSWERS) | {"id": i, "text": t, "finish_reason": f} for i, t, f in rows], schema=ANSWERS
    )


def test_samples_carry_their_system_message() -> None:
    asked = prompts(prompt("a", 1), prompt("b", 2, system="Be brief."))
    ids = [request.id for request in requests(asked, DRAWN, 0)]
    table = first_turns(asked, answers(*((i, f"text of {i}", "stop") for i in ids)))
    assert table.schema == SAMPLES
    assert table["draw"].to_list() == [0, 0, 1]
    assert table["messages"].to_list() == [[], *[[{"role": "system", "content": "Be brief."}]] * 2]


def test_only_sound_turns_are_extended() -> None:
    fast = tokenizer(SHAPES["chatml"])
    asked = prompts(prompt("a", 6), prompt("b", 1, kind="in_context"))
    ids = [request.id for request in requests(asked, DRAWN, 0)]
    texts = [
        ("Hi", "stop"),
        ("", "stop"),
        ("Hi", "length"),
        ("a <|im_end|> b", "stop"),
        (" What is 3 + 4? ", "stop"),
        ("x", "error"),
    ]
    table = first_turns(asked, answers(*((i, *said) for i, said in zip(ids, [*texts, ("Hi", "stop")], strict=True))))
    talk = Conversations(asked, fast, [1], MultiTurn(share=1.0, max_turns=2), DRAWN, 0)
    going_on = talk.unfinished(table, 1)
    assert [row["messages"][-1]["content"] for row in going_on] == ["Hi", "What is 3 + 4?"]
    template = Template(fast)
    for row, request in zip(going_on, talk.ask_answers(going_on), strict=True):
        assert list(request.prompt_ids or ()) == template.ids(template.text(row["messages"], opening=True))
    said = [row | {"messages": [*row["messages"], {"role": "assistant", "content": "Hello."}]} for row in going_on]
    prefix = derive(template, [], [])
    for row, request in zip(said, talk.ask_users(said), strict=True):
        assert request.stop_ids == (3,)
        assert (
            list(request.prompt_ids or ())
            == template.ids(template.text(row["messages"], opening=False)) + prefix.prefix_ids
        )


def test_answers_in_between_are_asked_with_the_user_s_words_where_a_template_takes_parts() -> None:
    fast = tokenizer(SHAPES["parts_only"])
    asked = prompts(prompt("a", 1))
    (request,) = requests(asked, DRAWN, 0)
    table = first_turns(asked, answers((request.id, "What is it?", "stop")))
    talk = Conversations(asked, fast, [1], MultiTurn(share=1.0, max_turns=2), DRAWN, 0)
    (answering,) = talk.ask_answers(talk.unfinished(table, 1))
    assert "What is it?" in fast.decode(list(answering.prompt_ids or ()))


def test_conversations_that_the_template_refuses_are_counted_with_the_reason() -> None:
    fast = tokenizer(SHAPES["gemma"])
    system = prompt("a", 2, system="Be brief.")
    asked = prompts(system)
    ids = [request.id for request in requests(asked, DRAWN, 0)]
    table = first_turns(asked, answers(*((i, "Hi", "stop") for i in ids)))
    talk = Conversations(asked, fast, [1], MultiTurn(share=1.0, max_turns=2), DRAWN, 0)
    rows = talk.unfinished(table, 1)
    assert not list(talk.ask_answers(rows))
    assert not list(talk.ask_users(rows))
    (reason,) = {reason.rpartition(": ")[2] for reason in talk.lost}
    assert (reason, sum(talk.lost.values())) == ("no system role here", 4)


def test_conversations_are_not_to_be_had_from_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    prompts(prompt("a", 2, kind="in_context")).write_parquet("prompts.parquet")
    params = {"random_seed": 0, "base": "b", "models": {"b": {"path": "x"}}}
    params["reconstruct"] = {"multi_turn": {"share": 0.1}}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    words = ["--params", "random_seed,base,models.b,reconstruct", "--prompts", "prompts.parquet", "--samples", "s"]
    monkeypatch.setattr(sys, "argv", ["reconstruct", *words])
    with pytest.raises(UserError, match=r"reconstruct\.multi_turn\.share: .*set it to 0"):
        main()


def test_the_share_and_number_of_turns_are_drawn_by_row() -> None:
    talk = Conversations(prompts(), None, [], MultiTurn(share=0.3, max_turns=4), DRAWN, 0)
    turns = pl.Series([talk.turns(f"s{k}") for k in range(3000)]).value_counts(name="n").sort("").rows()
    assert [number for number, _ in turns] == [1, 2, 3, 4]
    assert abs(turns[0][1] / 3000 - 0.7) < 0.03
    assert all(abs(count / 3000 - 0.1) < 0.03 for _, count in turns[1:])


def test_answers_in_between_lose_what_their_template_writes_and_nothing_else() -> None:
    fast = tokenizer(SHAPES["llama2"])
    asked = prompts(prompt("a", 6))
    talk = Conversations(asked, fast, [1], MultiTurn(share=1.0, max_turns=2), DRAWN, 0)
    ids = [request.id for request in requests(asked, DRAWN, 0)]
    rows = [{"sample_id": sample_id, "prompt_id": "a"} for sample_id in ids]
    texts = [
        (" Yes. ", "stop"),
        ("     def f():", "stop"),
        (" ", "stop"),
        (" cut of", "length"),
        (" a</s> b", "stop"),
        ("No.", "stop"),
    ]
    said = answers(*((i, *text) for i, text in zip(ids, texts, strict=True)))
    assert talk.answers_only(said, rows) == {ids[0]: "Yes.", ids[1]: "    def f():", ids[5]: "No."}
    assert sum(talk.lost.values()) == 3


def test_answers_in_another_order_are_not_taken() -> None:
    asked = prompts(prompt("a", 2))
    ids = [request.id for request in requests(asked, DRAWN, 0)]
    with pytest.raises(AssertionError, match="order"):
        first_turns(asked, answers(*((i, "Hi", "stop") for i in reversed(ids))))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reconstruct")
    model = {"path": str(tiny_model()), "engine": "transformers"}
    drawn = {"temperature": 1.0, "top_p": 0.98, "max_tokens": 60}
    params = {
        "random_seed": 0,
        "base": "base",
        "models": {"base": model},
        "seed": {"samples": 200, "slices": {"a": {"share": 3.0}, "b": {"share": 1.0}}},
        "reconstruct": {"sampling": drawn, "multi_turn": {"share": 1.0, "max_turns": 2, "answer": drawn}},
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    shared = ["--params", "random_seed,base,seed,models.base,reconstruct", "--prompts", "prompts.parquet"]
    step(folder, sys.executable, "-m", "holdfast.steps.seed", *shared)
    words = ["python", "-m", "holdfast.steps.reconstruct", *shared, "--samples", "s.parquet"]
    (folder / "said").write_text(step(folder, ROOT / "envs/in-env", "inference", *words))
    return folder


def step(folder: Path, *words: Any) -> str:
    env = {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, env=os.environ | env)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.engine
def test_a_real_engine_speaks_as_user_assistant_and_user_again(project: Path) -> None:
    table = pl.read_parquet(project / "s.parquet")
    assert table.schema == SAMPLES
    assert table["sample_id"].n_unique() == len(table) == 200
    assert table["finish_reason"].is_in(["stop", "length"]).all()
    longer = table.filter(pl.col("turn") == 2)
    assert len(longer) > 0
    assert (
        "conversations could not be extended: the answer did not end, is empty or contains a control token"
        in (project / "said").read_text()
    )
    for row in longer.iter_rows(named=True):
        assert [message["role"] for message in row["messages"]] == ["user", "assistant"]
        assert all(message["content"].strip() for message in row["messages"])
        assert row["finish_reason"] == "stop"
        assert "<|end|>" not in row["text"]
    assert (table.filter(pl.col("turn") == 1)["messages"].list.len() == 0).all()


@pytest.mark.engine
def test_again_from_an_empty_journal_gives_the_same_bytes(project: Path) -> None:
    before = (project / "s.parquet").read_bytes()
    prompts_table = pl.read_parquet(project / "prompts.parquet")
    prompts_table.reverse().write_parquet(project / "reversed.parquet")
    (project / ".holdfast").rename(project / "journal_of_the_first_run")
    words = [
        "--params",
        "random_seed,base,seed,models.base,reconstruct",
        "--prompts",
        "reversed.parquet",
        "--samples",
        "s.parquet",
    ]
    step(project, ROOT / "envs/in-env", "inference", "python", "-m", "holdfast.steps.reconstruct", *words)
    assert (project / "s.parquet").read_bytes() == before


@pytest.mark.engine
def test_a_real_engine_without_a_chat_template_goes_on_after_the_examples(tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny_model(), base)
    (base / "chat_template.jinja").unlink()
    examples = [f"Name {k} things." for k in range(6)]
    (tmp_path / "examples.jsonl").write_text("".join(json.dumps({"instruction": text}) + "\n" for text in examples))
    params = {
        "random_seed": 0,
        "base": "base",
        "models": {"base": {"path": "./base", "engine": "vllm", "engine_args": {"dtype": "float32"}}},
        "seed": {"samples": 100, "examples": "examples.jsonl", "examples_per_prompt": 3, "example_prompts": 8},
        "reconstruct": {"sampling": {"temperature": 1.0, "max_tokens": 60}},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    shared = ["--params", "random_seed,base,seed,models.base,reconstruct", "--prompts", "prompts.parquet"]
    step(tmp_path, sys.executable, "-m", "holdfast.steps.seed", *shared)
    job = ["python", "-m", "holdfast.steps.reconstruct", *shared, "--samples", "s.parquet"]
    step(tmp_path, ROOT / "envs/in-env", "inference", *job)
    asked, drawn = pl.read_parquet(tmp_path / "prompts.parquet"), pl.read_parquet(tmp_path / "s.parquet")
    assert asked["kind"].unique().to_list() == ["in_context"]
    assert all(sum(text in prefix for text in examples) == 3 for prefix in asked["prefix_text"])
    assert drawn.schema == SAMPLES
    assert len(drawn) == asked["samples"].sum() == 100
    turns = user_turns(drawn.lazy(), asked.lazy()).collect()
    assert turns["ended"].any()
    assert turns["instruction"].null_count() == 0


REFERENCE = """
import json, sys, torch
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
totals = []
for ids in json.loads(sys.argv[2]):
    ends = {"eos_token_id": [3, 4], "pad_token_id": 0}
    made = model.generate(torch.tensor([ids]), max_new_tokens=12, do_sample=False, **ends)[0]
    odds = torch.log_softmax(model(made[None]).logits[0, :-1], -1)
    totals.append(sum(odds[at, made[at + 1]].item() for at in range(len(ids) - 1, len(made) - 1)))
print(json.dumps(totals))
"""


@pytest.mark.engine
def test_the_log_probability_is_that_of_all_tokens_written(tmp_path: Path) -> None:
    prompts_ids = [[1, 2, 80 + k, 81, 90 - k] for k in range(6)]
    greedy = {"temperature": 0.0, "max_tokens": 12}
    asked = [
        {"id": str(k), "prompt_ids": ids, "sampling": greedy, "own_logprob": True} for k, ids in enumerate(prompts_ids)
    ]
    code = [ROOT / "envs/in-env", "inference", "python", "-c", REFERENCE, tiny_model(), json.dumps(prompts_ids)]
    expected = json.loads(step(tmp_path, *code).splitlines()[-1])
    for engine in ("vllm", "transformers"):
        (tmp_path / engine).mkdir()
        model = {"path": str(tiny_model()), "engine": engine, "engine_args": {"max_model_len": 256}}
        (found,) = ask_apart(tmp_path / engine, [{"model": model, "requests": asked}])
        assert not isinstance(found, str)
        assert found["logprobs"].list.first().to_list() == pytest.approx(expected, abs=2e-3)
