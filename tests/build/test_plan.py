"""`holdfast plan`: why, how much, and that what then runs agrees with it in rows."""

import io
import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from holdfast.build import plan
from holdfast.build.plan_figures import Rows
from holdfast.build.plan_outlook import Outlook
from holdfast.build.plan_rows import rows_of
from holdfast.build.plan_text import Machine, Planned, print_plan, totals, wall_clock_s
from holdfast.common.files import write_table
from holdfast.common.ids import row_id
from holdfast.common.tables import GENERATIONS, INSTRUCTIONS
from holdfast.params.schema import Params
from holdfast.steps.evaluate.params import HarnessSuite
from server import Server, served
from small_tokenizers import tokenizer
from templates import SHAPES
from toy_project import ROOT, Project

GENERATE = (
    "exec envs/job generate-base --env envs/core.txt --log l -- python -m holdfast.steps.generate"
    " --params random_seed,base,generate.samples,generate.sampling,generate.models.base,models.base --model base"
    " --base tokenizer"
    " --instructions instructions.parquet --generations generations.parquet --rejected rejected.parquet"
)
SCORE = (
    "exec envs/job score-base --env envs/core.txt --log l -- python -m holdfast.steps.score"
    " --params random_seed,score.rubric,score.method,score.judges.base,models.base --judge base --rubric rubric.md"
    " --instructions instructions.parquet --generations generations.parquet --scores scores.parquet"
)


def instructions(count: int) -> pl.DataFrame:
    rows = [
        {
            "instruction_id": row_id(n), "instruction": f"question {n}", "prompt_id": "p", "finish_reason": "stop",
            "slice": "general", "language": None, "system": None,
            "messages": [{"role": "user", "content": f"question {n}"}], "count": 1, "tokens": 2,
        }
        for n in range(count)
    ]  # fmt: skip
    return pl.DataFrame([{key: row.get(key) for key in INSTRUCTIONS} for row in rows], schema=INSTRUCTIONS)


@pytest.fixture
def server() -> Iterator[Server]:
    with served() as one:
        yield one


@pytest.fixture
def params(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    rates = {"input_per_million_tokens": 2.0, "output_per_million_tokens": 10.0, "rows_per_s": 10.0}
    values["models"]["base"] = {"path": "m", "engine": "openai", "url": server.url, "rates": rates}
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(yaml.safe_dump(values))
    Path("rubric.md").write_text("Good is 5.")
    tokenizer(SHAPES["chatml"]).save_pretrained("tokenizer")
    return Params.model_validate(values)


def run(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The step itself, in this process."""
    words = shlex.split(shell)
    words = words[words.index("-m") + 1 :]
    from holdfast.steps.generate import __main__ as generate
    from holdfast.steps.score import __main__ as score

    monkeypatch.setattr("sys.argv", words)
    {"holdfast.steps.generate": generate, "holdfast.steps.score": score}[words[0]].main()


def test_what_runs_is_what_was_planned(params: Params, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    samples, known = params.generate.samples, lambda path: Path(path).exists()
    for count, asked in ((10, 10), (14, 4), (14, 0), (3, 0)):  # the second time only what is new
        write_table(instructions(count), "instructions.parquet", INSTRUCTIONS)
        [planned] = rows_of(GENERATE, Outlook(params, known))
        before = server.answered.total()
        run(GENERATE, monkeypatch)
        assert server.answered.total() - before == planned.asked == asked * samples
        assert planned.reused == count * samples - planned.asked
        assert planned.exact
        assert planned.output_tokens <= planned.most_output_tokens
        assert planned.hours == pytest.approx(planned.asked / 10 / 3600, abs=1 / 3600)  # and the engine's start
        assert planned.cost == pytest.approx((planned.prompt_tokens * 2 + planned.output_tokens * 10) / 1e6, abs=1e-5)
        [planned] = rows_of(SCORE, Outlook(params, known))
        before = server.answered.total()
        run(SCORE, monkeypatch)
        assert server.answered.total() - before == planned.asked


def test_where_nothing_is_there_it_is_assumed_and_bounded(params: Params) -> None:
    [planned] = rows_of(GENERATE, Outlook(params, lambda path: False))
    candidates = params.seed.samples * params.generate.samples
    assert not planned.exact
    assert planned.asked == round(candidates * 0.8)
    assert planned.most_asked == candidates
    assert planned.most_output_tokens == candidates * params.generate.sampling.max_tokens
    assert planned.output_tokens == round(planned.most_output_tokens * 0.8 * 0.5)
    assert "assumed: 80% of the samples become instructions" in planned.basis
    assert "assumed: answers in generate are 50% of max_tokens long, where a model has none there yet" in planned.basis


def written(count: int, answer: Callable[[int], str]) -> pl.DataFrame:
    """Generations of one answer to each of `count` instructions."""
    rows = pl.DataFrame(
        {
            "candidate_id": [row_id(n) for n in range(count)],
            "instruction_id": [row_id(n) for n in range(count)],
            "response": [answer(n) for n in range(count)],
        }
    )
    return rows.select(
        **{name: rows[name] if name in rows.columns else pl.lit(None, kind) for name, kind in GENERATIONS.items()}
    )


def test_a_missing_committee_model_is_estimated_from_the_others(params: Params) -> None:
    write_table(instructions(5), "instructions.parquet", INSTRUCTIONS)
    write_table(written(5, lambda n: f"answer {n}"), "generations.parquet", GENERATIONS)
    shell = SCORE.replace("generations.parquet", "generations.parquet another.parquet")
    [planned] = rows_of(shell, Outlook(params, lambda path: path != "another.parquet"))
    assert (planned.asked, planned.reused, planned.exact) == (5 * params.generate.samples * 2, 0, False)


def test_the_bound_holds_what_is_asked_once_the_inputs_are_there(params: Params) -> None:
    parsing = params.score.model_copy(update={"method": "parse", "attempts": 3})
    params = params.model_copy(update={"score": parsing})
    longest = params.reconstruct.sampling.max_tokens, params.generate.sampling.max_tokens  # tokens
    [generating], [judging] = (rows_of(shell, Outlook(params, lambda path: False)) for shell in (GENERATE, SCORE))
    candidates = params.seed.samples * params.generate.samples
    assert generating.prompt_tokens / generating.asked >= longest[0]  # type: ignore[operator]
    assert generating.most_cost >= (candidates * longest[0] * 2 + generating.most_output_tokens * 10) / 1e6
    assert judging.most_asked == candidates * 3
    rubric = Path("rubric.md").stat().st_size // 4
    assert judging.prompt_tokens / judging.asked >= sum(longest) + rubric  # type: ignore[operator]

    count, texts = 5, ["one" * tokens for tokens in longest]  # one token each, by the estimate
    one = instructions(count).with_columns(messages=pl.lit([{"role": "user", "content": texts[0]}]))
    write_table(one, "instructions.parquet", INSTRUCTIONS)
    write_table(written(count, lambda n: f"{n}{texts[1][1:]}"), "generations.parquet", GENERATIONS)
    [counted] = rows_of(SCORE, Outlook(params, lambda path: True))
    assert (counted.asked, counted.most_asked, counted.exact) == (count, count * 3, False), "some are asked again"
    assert counted.prompt_tokens * judging.asked <= judging.prompt_tokens * counted.asked  # type: ignore[operator]
    greedy = params.score.sampling.model_copy(update={"temperature": 0.0})
    params = params.model_copy(update={"score": parsing.model_copy(update={"sampling": greedy})})
    [once] = rows_of(SCORE, Outlook(params, lambda path: True))
    assert (once.asked, once.exact) == (count, True)


def test_shards_share_the_rows(params: Params) -> None:
    sharded = params.models["base"].model_copy(update={"shards": 3})
    params = params.model_copy(update={"models": params.models | {"base": sharded}})
    write_table(instructions(20), "instructions.parquet", INSTRUCTIONS)
    shard = GENERATE.replace("steps.generate", "steps.generate.shard").replace("--generations", "--earlier")
    for known in (True, False):
        outlook = Outlook(params, lambda path, known=known: known)  # type: ignore[misc]
        parts = [rows_of(f"{shard} --shard {number}/3", outlook)[0] for number in (1, 2, 3)]
        [whole] = rows_of(GENERATE, outlook)
        assert whole.asked == 0, "they have asked before"
        asked = sum(part.asked or 0 for part in parts)
        assert asked == pytest.approx(whole.reused, abs=2)


def test_the_harness_is_said_not_to_be_counted(params: Params) -> None:
    suites = params.evaluate.suites | {"mmlu": HarnessSuite(kind="lm_eval", tasks=["mmlu"])}
    params = params.model_copy(update={"evaluate": params.evaluate.model_copy(update={"suites": suites})})
    shell = "envs/job evaluate-base -- python -m holdfast.steps.evaluate --params base --arm base --model m"
    rows = rows_of(shell, Outlook(params, lambda path: False))
    assert [row.asked for row in rows] == [None, None]
    assert rows[1].uncounted == "mmlu: the harness's requests are not counted"


def test_a_training_job_needs_the_gpus_of_train(params: Params) -> None:
    alone = params.arms["public"].model_copy(update={"train": {"gpus": 2}})
    train = params.train.model_copy(update={"gpus": 8})
    params = params.model_copy(update={"train": train, "arms": params.arms | {"public": alone}})
    for run, gpus in (("rehearsed", 8), ("rehearsed-s1", 8), ("public-s1", 2)):
        assert plan.gpus_of(f"exec envs/job x -- python -m holdfast.steps.train --run {run}", [], params) == gpus
    assert plan.gpus_of("exec envs/job mix-a -- python -m holdfast.steps.mix --params train", [], params) == 0


def test_a_job_without_a_model_asks_nothing(params: Params) -> None:
    assert rows_of(GENERATE.replace("steps.generate", "steps.mix"), Outlook(params, lambda path: True)) == []


def printed(steps: list[Planned], width: int = 120) -> str:
    file = io.StringIO()
    print_plan(steps, Machine(2, 8), Console(file=file, width=width, highlight=False, markup=False))
    return file.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_the_text_says_what_counts(width: int) -> None:
    row = Rows("base", 1000, 500, 2000, 20_000, 9_000, 64_000, 0.5, 1.25, 9.5, exact=False, basis=("by a pilot",))
    steps = [
        Planned("generate-base", True, ["generate.samples: 3 → 4"], [row], 0.5, 2, []),
        Planned("filter", False, ["after generate-base"], [], None, 0, ["generate-base"]),
    ]
    text = printed(steps, width)
    lines = text.splitlines()
    assert all(len(line) <= width for line in lines[:3])
    one = next(line for line in lines if line.startswith("generate-base"))
    for figure in ("≈ 1,000", "≈ 500", "≈ 9,000", "64,000", "1.25 USD", "9.50 USD", "30 min"):
        assert figure in one
    assert next(line for line in lines if line.startswith("filter")).split()[-1] == "unknown"
    assert "0 s" not in text
    assert (
        "all: 2 jobs, about 1,000 model calls, about 500 rows reused, about 20,000 prompt tokens,"
        " about 9,000 output tokens (at most 64,000), cost: about 1.25 USD (at most 9.50 USD), 1.0 GPU-hours"
    ) in text
    assert "time with 2 GPUs: about 30 min, without 1 job of unknown duration" in text
    assert "by a pilot" in lines
    assert "  generate-base: generate.samples: 3 → 4" in text
    assert "  filter (if what it reads changes): after generate-base" in text
    harness = Rows("base", None, uncounted="mmlu: the harness's requests are not counted")
    said = printed([*steps, Planned("evaluate-base", True, ["never built"], [row, harness], None, 2, [])], width)
    assert "evaluate-base: mmlu: the harness's requests are not counted" in said
    assert "plus what is not counted" in said
    euros = Planned("score-a", True, ["never built"], [row._replace(currency="EUR", asked=1)], 0.5, 1, [])
    assert "cost: about 1.25 EUR + 1.25 USD (at most 9.50 EUR + 9.50 USD)" in printed([euros, *steps], width)
    assert printed([]) == "Nothing to do: everything is up to date.\n"


def test_jobs_with_the_same_reasons_share_a_line() -> None:
    fresh = [Planned(f"generate-{letter}", True, ["never built"], [], None, 0, []) for letter in "abcdefgh"]
    other = Planned("score-a", True, ["never built", "output missing"], [], None, 0, [])
    lines = printed([*fresh[:3], other, *fresh[3:]]).splitlines()
    assert lines[lines.index("Why:") + 1 :] == [
        "  generate-a, generate-b, generate-c, generate-d, generate-e and 3 more jobs: never built",
        "  score-a: never built; output missing",
    ]
    assert "  generate-a, generate-b: never built" in printed(fresh[:2])


def test_a_pipe_gets_whole_names(capsys: pytest.CaptureFixture[str]) -> None:
    row = Rows("base", 1000, 500, 2000, 20_000, 9_000, 64_000, 0.5, 1.25, 9.5)
    name = "evaluate-averaged_weight_25_pct-s3"
    print_plan([Planned(name, True, ["never built"], [row], 0.5, 1, [])], Machine(1, 2))
    assert sum(line.startswith(name) for line in capsys.readouterr().out.splitlines()) == 1


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.integers(0, 9), st.integers(1, 99)), min_size=1)
)
def test_the_totals_are_the_sums(parts: list[tuple[str, int, int, int]]) -> None:
    rows = [
        Rows(name, asked, reused, output_tokens=tokens, most_output_tokens=tokens)
        for name, asked, reused, tokens in parts
    ]
    sums = [sum(part[n] for part in parts) for n in (1, 2, 3)]
    *_, last = totals([Planned(f"s{n}", True, [], [row], None, 0, []) for n, row in enumerate(rows)], Machine(0, 1))
    found = re.findall(r"(\d+) (?:model call|row|output token)", last.replace(",", ""))
    assert [int(number) for number in found] == sums


jobs = st.lists(
    st.tuples(st.floats(0, 5), st.integers(0, 3), st.lists(st.integers(0, 20), max_size=3)), min_size=1, max_size=12
)


@given(jobs, st.integers(0, 4), st.integers(1, 4))
def test_the_time_is_between_the_longest_chain_and_one_after_the_other(
    parts: list[tuple[float, int, list[int]]], gpus: int, cores: int
) -> None:
    planned: list[Planned] = []
    longest: dict[str, float] = {}
    for number, (hours, needed, after) in enumerate(parts):
        before = sorted({f"s{n}" for n in after if n < number})
        longest[f"s{number}"] = hours + max((longest[name] for name in before), default=0.0)
        planned.append(Planned(f"s{number}", True, [], [], hours, needed, before))
    found = wall_clock_s(planned, Machine(gpus, cores)) / 3600
    total = sum(hours for hours, _, _ in parts)
    assert max(longest.values()) - 1e-6 <= found <= total + 1e-6
    if cores == 1:
        assert found == pytest.approx(total)
    assert found >= sum(hours * needed for hours, needed, _ in parts) / max(gpus, 3) - 1e-6


def test_the_order_is_the_chains() -> None:
    def stage(module: str, *deps: str, out: str) -> dict[str, Any]:
        return {"cmd": f"envs/job x -- python -m holdfast.{module} --a", "deps": deps, "outs": [out]}

    stages = {
        "report": stage("steps.report", "e", "f", out="r"),
        "evaluate-base": stage("steps.evaluate", out="e"),
        "train-a": stage("steps.train", "m", out="t"),
        "evaluate-a": stage("steps.evaluate", "t", out="f"),
        "mix-a": stage("steps.mix", "s", out="m"),
        "seed": stage("steps.seed", out="s"),
    }
    assert plan.chain_order(stages) == ["seed", "mix-a", "train-a", "evaluate-a", "evaluate-base", "report"]


def test_only_the_leaves_that_differ_are_named() -> None:
    before, now = {"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": [1]}
    assert list(plan.parameter_changes("x", before, now)) == ["x.a.c: 2 → 3", "x.d: (absent) → [1]"]


def test_of_a_long_command_the_first_words_are_named() -> None:
    words = [f"data/evaluate/a-s{number}.parquet" for number in range(9)]
    said = plan.shown_difference("python -m report", " ".join(["python -m report", *words]))
    assert said == f"… → {' '.join(words[:5])} and 4 more words"
    assert plan.shown_difference("python --a 1", "python --b 1") == "--a → --b"


@pytest.mark.workflow
def test_reasons_in_a_project(toy: Project) -> None:
    def planned() -> dict[str, dict[str, object]]:
        return {
            step["stage"]: step for step in json.loads(toy.run("python", "-m", "holdfast.cli", "plan", "--json").stdout)
        }

    assert planned() == {}
    text = (toy.folder / "params.yaml").read_text()
    (toy.folder / "params.yaml").write_text(text.replace("scholar: {temperature: 1.0}", "scholar: {temperature: 0.5}"))
    code = toy.folder / "src/holdfast/toy/report.py"
    code.write_text(code.read_text() + "unused = 1\n")
    (toy.folder / "data/reconstruct/instructions.txt").unlink()
    found = planned()
    assert found["generate-scholar"]["why"] == ["generate.models.scholar.temperature: 1.0 → 0.5"]
    assert found["generate-scholar"]["certain"]
    assert found["filter"]["why"] == ["after generate-scholar"]
    assert not found["filter"]["certain"]
    assert "code: holdfast.toy.report" in found["report"]["why"]  # type: ignore[operator]
    assert "generate-base" not in found
    assert float(str(found["train-mixed"]["hours"])) > 0  # as long as last time
