"""Generate: every instruction gets its samples, seeds follow the row, and faults go to the rejected table."""

import json
import shutil
import signal
import subprocess
import time

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain import generate, generate_command, journal_rows, write_instructions, write_params
from holdfast.common.tables import GENERATIONS, INSTRUCTIONS, REJECTED_GENERATIONS
from holdfast.inference.ask import ANSWERS
from holdfast.inference.params import Sampling
from holdfast.steps.generate.candidates import answered, candidates, requests, split
from models import taught_model, tiny_model
from server import served

HOW = Sampling(max_tokens=8)


def table(folder, count, start=0):
    return write_instructions(folder / "instructions.parquet", count, start)


def test_requests_and_candidates_go_together(tmp_path):
    rows = table(tmp_path, 50).lazy()
    asked = list(requests(rows, "tiny", 3, HOW, 0))
    listed = candidates(rows, "tiny", 3).collect()
    assert [request.id for request in asked] == listed["candidate_id"].to_list()
    assert listed["candidate_id"].n_unique() == 150
    assert len({request.seed for request in asked}) == 150
    assert listed["instruction_id"].is_sorted()


@given(seed=st.integers(0, 5), keep=st.sets(st.integers(0, 19)))
def test_a_row_s_request_depends_on_nothing_but_itself(tmp_path_factory, seed, keep):
    every = write_instructions(tmp_path_factory.getbasetemp() / "every.parquet", 20)
    whole = {request.id: request for request in requests(every.lazy(), "tiny", 2, HOW, 0)}
    some = every[sorted(keep)].sample(fraction=1.0, shuffle=True, seed=seed)
    for request in requests(some.lazy(), "tiny", 2, HOW, 0):
        assert whole[request.id] == request
    others = {request.seed for request in requests(every.lazy(), "other", 2, HOW, 0)}
    assert not others & {request.seed for request in whole.values()}


def test_conversations_are_asked_whole(tmp_path):
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Bye"},
    ]
    rows = table(tmp_path, 1).with_columns(messages=pl.Series([messages], dtype=INSTRUCTIONS["messages"]))
    (request,) = requests(rows.lazy(), "tiny", 1, HOW, 0)
    assert request.messages == tuple((turn["role"], turn["content"]) for turn in messages)


def test_what_the_template_showed_is_shown_again(tmp_path):
    shown = '{"enable_thinking": true}'
    rows = table(tmp_path, 2).with_columns(rendering=pl.Series([shown, None]))
    assert [request.rendering for request in requests(rows.lazy(), "tiny", 1, HOW, 0)] == [shown, None]


def answers_to(rows, texts, **columns):
    """An engine's answers to candidates, in their order."""
    asked = rows.select("candidate_id").collect()["candidate_id"]
    found = [dict.fromkeys(ANSWERS) | {"id": i, "text": text} for i, text in zip(asked, texts, strict=True)]
    return pl.DataFrame(found, schema=ANSWERS).with_columns(
        pl.lit("stop").alias("finish_reason"), **{k: pl.Series(v, dtype=ANSWERS[k]) for k, v in columns.items()}
    )


def test_failed_and_empty_answers_and_those_with_control_tokens_are_rejected_by_name(tmp_path):
    rows = candidates(table(tmp_path, 5).lazy(), "tiny", 1)
    answers = answers_to(
        rows,
        ["fine", " \n", None, "a <|im_end|> b", "also"],
        error=[None, None, "prompt_too_long", None, None],
        detail=[None, None, "999 tokens", None, None],
    )
    framed = answered(rows, answers.lazy()).with_columns(template_before=pl.lit(""), template_after=pl.lit(""))
    kept, rejected = (part.collect() for part in split(framed, ["<|im_end|>"]))
    assert dict(kept.schema) == GENERATIONS
    assert dict(rejected.schema) == REJECTED_GENERATIONS
    assert kept["response"].to_list() == ["fine", "also"]
    assert rejected["reason"].to_list() == ["empty", "prompt_too_long", "control_token"]
    assert rejected["detail"].to_list() == [None, "999 tokens", "contains <|im_end|>"]
    assert len(kept) + len(rejected) == 5


def test_answers_in_another_order_are_not_taken(tmp_path):
    rows = candidates(table(tmp_path, 2).lazy(), "tiny", 1)
    answers = answers_to(rows, ["a", "b"]).reverse()
    with pytest.raises(AssertionError, match="order"):
        answered(rows, answers.lazy())


def test_a_job_against_an_endpoint_rejects_what_fails_and_asks_only_new_rows(tmp_path):
    def misbehave(body, attempt):
        return (422, {}, "no") if body["messages"][0]["content"].endswith("number 7.") else None

    table(tmp_path, 40)
    with served(misbehave) as server:
        write_params(tmp_path, {"path": "m", "engine": "openai", "url": server.url})
        done = generate(tmp_path, "core")
        assert done.returncode == 0, done.stderr
        assert "generate tiny: 2 rows failed (2 x refused, for example: HTTP 422: no)" in done.stdout
        rejected = pl.read_parquet(tmp_path / "out" / "tiny.rejected.parquet")
        assert rejected["reason"].to_list() == ["refused", "refused"]
        before = pl.read_parquet(tmp_path / "out" / "tiny.parquet")
        assert len(before) == 78
        server.misbehave = lambda body, attempt: None
        table(tmp_path, 44)
        again = generate(tmp_path, "core")
        assert "88 rows done, 78 reused, 10 asked" in again.stdout
    after = pl.read_parquet(tmp_path / "out" / "tiny.parquet")
    assert after.filter(pl.col("candidate_id").is_in(before["candidate_id"].implode())).equals(before)
    assert len(journal_rows(tmp_path)) == 88


def test_what_a_template_writes_is_no_part_of_an_endpoint_s_answers(tmp_path):
    """Its template is not known: a lone space and line breaks in front go, indentation stays."""
    said = {"number 0.": " Yes. ", "number 1.": "\n\nYes.", "number 2.": "    code", "number 3.": "a <|im_end|> b"}
    table(tmp_path, 4)
    with served() as server:
        server.answer = lambda body: next(
            text for ending, text in said.items() if body["messages"][0]["content"].endswith(ending)
        )
        write_params(tmp_path, {"path": "m", "engine": "openai", "url": server.url}, samples=1)
        done = generate(tmp_path, "core")
        assert done.returncode == 0, done.stderr
    found = pl.read_parquet(tmp_path / "out" / "tiny.parquet")
    assert sorted(found["response"]) == ["    code", "Yes.", "Yes."]
    assert sorted(found["template_before"] + found["response"] + found["template_after"]) == sorted(
        text for text in said.values() if "<" not in text
    )
    rejected = pl.read_parquet(tmp_path / "out" / "tiny.rejected.parquet")
    assert rejected["reason"].to_list() == ["control_token"]  # of the base model


def test_too_many_failures_leave_no_output(tmp_path):
    table(tmp_path, 10)
    with served(lambda body, attempt: (422, {}, "no")) as server:
        write_params(tmp_path, {"path": "m", "engine": "openai", "url": server.url})
        done = generate(tmp_path, "core")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("error: generate tiny: ")
    assert "rows failed, more than max_failed_share (0.05) allows" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "out").glob("*")) if (tmp_path / "out").exists() else True


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_job_keeps_what_it_has_and_says_so(number, status, tmp_path):
    table(tmp_path, 20)
    with served(lambda body, attempt: "hang" if body["messages"][0]["content"].endswith("5.") else None) as server:
        write_params(tmp_path, {"path": "m", "engine": "openai", "url": server.url})
        job = subprocess.Popen(generate_command("core"), cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        while len(journal_rows(tmp_path)) < 36:
            time.sleep(0.05)
            assert job.poll() is None
        job.send_signal(number)
        said = job.communicate(timeout=60)[1]
        assert (job.returncode, "Traceback" in said) == (status, False), said
        assert f"stopped by {number.name}; finished rows are kept" in said
        server.misbehave = lambda body, attempt: None
        assert "40 rows done, 36 reused, 4 asked" in generate(tmp_path, "core").stdout


@pytest.mark.engine
def test_a_job_on_a_model_gives_the_same_bytes_again_in_any_order(tmp_path):
    write_params(tmp_path, {"path": str(tiny_model()), "engine_args": {"max_model_len": 256}})
    found = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        rows = table(folder, 60)
        rows.sample(fraction=1.0, shuffle=True, seed=len(found)).write_parquet(folder / "instructions.parquet")
        (folder / "params.yaml").write_bytes((tmp_path / "params.yaml").read_bytes())
        shutil.copytree(tmp_path / "base_tokenizer", folder / "base_tokenizer")
        done = generate(folder)
        assert done.returncode == 0, done.stderr[-2000:]
        found.append((folder / "out" / "tiny.parquet").read_bytes())
    assert found[0] == found[1]


@pytest.mark.engine
def test_a_model_sees_the_tools_of_its_instruction(tmp_path):
    base = shutil.copytree(tiny_model(), tmp_path / "base")
    template = base / "chat_template.jinja"
    template.write_text("{% if tools %}<|start|>tools {{ tools | tojson }}<|end|>{% endif %}" + template.read_text())
    write_params(tmp_path, {"path": "./base", "engine": "transformers"}, samples=1)
    tools = json.dumps({"tools": [{"type": "function", "function": {"name": "look_up", "description": "x" * 50}}]})
    rows = table(tmp_path, 2).sort("instruction_id").with_columns(rendering=pl.Series([tools, None]))
    rows.write_parquet(tmp_path / "instructions.parquet")
    done = generate(tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    prompts = pl.read_parquet(tmp_path / "out" / "tiny.parquet").sort("instruction_id")["prompt_tokens"].to_list()
    assert prompts[0] > prompts[1] + 100


LEARNED = {"Say number 0.": "Zero is nothing.", "Say number 1.": "    return 1\nThat is one."}


@pytest.mark.engine
@pytest.mark.parametrize("engine", ["vllm", "transformers"])
@pytest.mark.parametrize("shape", ["mistral_v1", "llama2", "chatml"])
def test_a_real_model_s_answers_are_without_what_its_template_writes(shape, engine, tmp_path):
    """Mistral's and Llama 2's write a space before the answer, Llama 2's one after it too; ChatML's nothing."""
    model = {"path": str(taught_model(shape, LEARNED)), "engine": engine, "engine_args": {"max_model_len": 128}}
    write_params(tmp_path, model, samples=1, temperature=0.0, top_p=1.0, max_tokens=32)
    rows = table(tmp_path, 2)
    done = generate(tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    found = pl.read_parquet(tmp_path / "out" / "tiny.parquet").join(rows, on="instruction_id")
    taught = {text: answer.strip() if shape == "llama2" else answer for text, answer in LEARNED.items()}  # it strips
    assert dict(found.select("instruction", "response").iter_rows()) == taught
    before, after = {"mistral_v1": (" ", ""), "llama2": (" ", " "), "chatml": ("", "")}[shape]
    assert set(found["template_before"]) == {before}
    assert set(found["template_after"]) == {after}
