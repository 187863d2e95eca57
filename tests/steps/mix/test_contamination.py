"""Test items in a source are found in every form, taken out of general sources and reported in the user's own."""

import json
from pathlib import Path

import polars as pl
import pytest

from mixing import write_lines

NAMES = ("Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hana", "Ivo", "Jo", "Kai", "Lena")
THINGS = ("pears", "stamps", "marbles", "tickets", "candles")


def item(n):
    """A problem of the kind that GSM8K asks."""
    who, what = NAMES[n % len(NAMES)], THINGS[n % len(THINGS)]
    return (
        f"{who} buys {n + 3} boxes with {n + 11} {what} each at the market. On the way home {who} gives {n + 2} of the"
        f" {what} to a neighbour and loses {n + 1} more. How many {what} are left in the end?"
    )


VARIANTS = (
    str,
    lambda text: text.removesuffix("?") + " ?",
    lambda text: f"Question: {text}\nAnswer:",
    lambda text: f"Please solve: {text}",
    lambda text: text.upper(),
    lambda text: f"I found this riddle in a book and cannot do it. {text} Explain every step to me.",
)
ITEMS = [item(n) for n in range(60)]
PLANTED = [VARIANTS[n % len(VARIANTS)](text) for n, text in enumerate(ITEMS)]
CLEAN = [f"Which colour has the wagon number {n} of the goods train to {NAMES[n % 12]}'s town?" for n in range(60)]


def write_planted(name):
    write_lines(name, [{"question": q, "answer": f"A {n}."} for n, q in enumerate(PLANTED + CLEAN)])


def benchmark(project, sources, arm):
    write_lines("gsm8k.jsonl", [{"question": text, "answer": "7"} for text in ITEMS])
    clean = {"contamination": {"benchmarks": ["gsm8k.jsonl"]}}
    return project(sources, arm, {"validation": 0}, sequence_len=2000, clean=clean)


def test_all_planted_items_are_taken_out_of_a_general_source(project, capsys):
    write_planted("public.jsonl")
    sources = {"domain": {"path": "domain.jsonl"}, "public": {"path": "public.jsonl"}}
    train = benchmark(project, sources, {"sources": {"domain": 39.0, "public": 60.0}})
    assert {row["messages"][0]["content"] for row in train if row["source"] == "public"} == set(CLEAN)
    found = pl.read_parquet("out/contamination.parquet").filter(pl.col("source") == "public")
    assert (found["row_id"].n_unique(), found["action"].unique().to_list()) == (60, ["rejected"])
    rejected = pl.read_parquet("out/rejected.parquet").filter(pl.col("source") == "public")
    assert rejected["reason"].to_list() == ["in_evaluation"] * 60
    assert "gsm8k.jsonl" in rejected["detail"][0]
    assert "WARNING" not in capsys.readouterr().out


def test_items_in_the_users_own_source_are_reported_loudly_and_only_equal_ones_are_taken_out(project, capsys):
    write_planted("domain.jsonl")
    train = benchmark(project, {"domain": {"path": "domain.jsonl"}}, {"sources": {"domain": 1.0}})
    found = pl.read_parquet("out/contamination.parquet")
    assert found["row_id"].n_unique() == 60
    reported = found.filter(pl.col("action") == "reported")
    assert len(train) == 60 + len(reported)
    assert set(found.filter(pl.col("action") == "rejected")["kind"]) == {"exact"}
    assert len(reported) == 30  # with other words around them
    said = capsys.readouterr()
    line = f"WARNING: mix a: {len(reported)} rows of source domain contain items of evaluation suites and stay in"
    assert line in said.out
    assert line in said.err
    assert f"gsm8k.jsonl ({len(reported)})" in said.err
    counts = {c["action"]: c["rows"] for c in json.loads(Path("out/summary.json").read_text())["contamination"]}
    assert counts == {"rejected": 60 - len(reported), "reported": len(reported)}
    card = Path("out/README.md").read_text()
    assert "results on these suites will be too high" in card
    assert f"| domain | gsm8k.jsonl | reported | {len(reported)} |" in card


@pytest.mark.parametrize(("action", "rows"), [("reject", 60), ("report", 90)])
def test_a_source_says_what_is_done(project, action, rows):
    write_planted("mine.jsonl")
    train = benchmark(project, {"mine": {"path": "mine.jsonl", "contamination": action}}, {"sources": {"mine": 1.0}})
    assert len(train) == rows


def test_a_budget_makes_no_source_the_users_own(project):
    write_planted("domain.jsonl")
    arm = {"sources": {"domain": 1.0}, "budget": 60}
    assert len(benchmark(project, {"domain": {"path": "domain.jsonl"}}, arm)) == 60
    assert set(pl.read_parquet("out/contamination.parquet")["action"]) == {"rejected"}


def test_kept_rows_that_are_not_drawn_are_not_said_to_be_in_the_mixture(project, capsys):
    write_planted("mine.jsonl")
    source = {"path": "mine.jsonl", "contamination": "report"}
    benchmark(project, {"mine": source}, {"sources": {"mine": 1.0}, "budget": 30})
    found = pl.read_parquet("out/contamination.parquet")
    train = {json.loads(line)["row_id"] for line in Path("out/train.jsonl").read_text().splitlines()}
    assert set(found.filter(pl.col("action") == "reported")["row_id"]) <= train
    assert not set(found.filter(pl.col("action") == "not_drawn")["row_id"]) & train
    assert set(found["action"]) == {"rejected", "reported", "not_drawn"}


def test_every_turn_of_the_user_is_compared(project):
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    answered = {"role": "assistant", "content": "7"}
    late = [*turns, {"role": "user", "content": PLANTED[5]}, answered]
    quoted = [*turns, {"role": "user", "content": "And?"}, {"role": "assistant", "content": PLANTED[5]}]
    write_lines("talk.jsonl", [{"messages": late}, {"messages": quoted}])
    train = benchmark(project, {"talk": {"path": "talk.jsonl", "contamination": "reject"}}, {"sources": {"talk": 1.0}})
    assert [row["messages"] for row in train] == [quoted]
