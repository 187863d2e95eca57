"""The clean step: each reason, duplicates, and the same bytes whatever the order."""

import json
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from holdfast.chat.user_turns import user_turns
from holdfast.common.tables import CONTAMINATION, INSTRUCTIONS, PROMPTS, REJECTED_INSTRUCTIONS, SAMPLES
from holdfast.steps.clean.__main__ import main
from holdfast.steps.clean.instructions import clean_samples
from holdfast.steps.clean.params import Clean
from holdfast.steps.clean.repetition import repeated_share
from holdfast.text.benchmark_items import Item

CHAT = {"boundary": "", "suffix_text": "<|e|>x", "stop_ids": [2], "marks": ["<|e|>", "<|u|>", "### Response:"]}
PLAIN = {
    "boundary": " ",
    "suffix_text": " ASSISTANT:",
    "stop_ids": [2],
    "stop_text": " ASSISTANT:",
    "marks": ["ASSISTANT:"],
}
ITEMS = [Item("capitals", "i1", "List the capital of Peru!")]
GERMAN = "Wie heißt die Hauptstadt von Frankreich, und warum ist sie so bekannt?"


def prompts() -> pl.DataFrame:
    rows: list[dict[str, Any]] = [
        {"prompt_id": "chat", "slice": "english", "language": "en", "system": None} | CHAT,
        {"prompt_id": "plain", "slice": "any", "language": None, "system": "Be brief."} | PLAIN,
    ]
    shared = {"kind": "template", "samples": 99, "rendering": "{}"}
    return pl.DataFrame([dict.fromkeys(PROMPTS) | shared | row for row in rows], schema=PROMPTS)


def samples(*rows: tuple[str, str | None, str]) -> pl.DataFrame:
    """(prompt, text, finish_reason) as SAMPLES; a sample that failed has no text."""
    system = {"chat": [], "plain": [{"role": "system", "content": "Be brief."}]}
    return pl.DataFrame(
        [
            {
                "sample_id": f"s{number:02}",
                "prompt_id": prompt,
                "draw": number,
                "turn": 1,
                "text": text,
                "finish_reason": finish,
                "prompt_tokens": 1,
                "output_tokens": len(text or ""),
                "logprobs": [-0.5 * len(text)] if text is not None else None,
                "request_key": "k",
                "error": "prompt_too_long" if finish == "error" else None,
                "messages": system[prompt],
            }
            for number, (prompt, text, finish) in enumerate(rows)
        ],
        schema=SAMPLES,
    )


def cleaned(
    rows: pl.DataFrame, clean: Clean | None = None
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, dict[str, Any]]:
    return clean_samples(user_turns(rows.lazy(), prompts().lazy()).collect(), ITEMS, clean or Clean())


REASONS = [
    ("chat", None, "error", "engine_error", "prompt_too_long"),
    ("chat", "What is the tallest", "length", "truncated", "19 tokens without an end"),
    ("chat", " \n ", "stop", "empty", None),
    ("chat", "Hello <|u|> there", "stop", "template_leak", "<|u|>"),
    ("chat", "Hello\n### Response: no", "stop", "template_leak", "### Response:"),
    ("chat", "say <|im_start|>user", "stop", "template_leak", "<|im_start|>"),
    ("chat", "go on [/INST] yes", "stop", "template_leak", "[/INST]"),
    ("chat", "Assistant: Paris", "stop", "wrong_role", "Assistant:"),
    ("chat", "Sure, here is a poem", "stop", "wrong_role", "Sure, here"),
    ("chat", "x", "stop", "too_short", "1 characters"),
    ("chat", "go on and on " * 9, "stop", "repetition", "100 % of the text"),
    ("chat", GERMAN, "stop", "wrong_language", "de"),
    ("chat", "List the capital of Peru", "stop", "contaminated", "capitals: list the capital of peru"),
]


@pytest.mark.parametrize(("prompt", "text", "finish", "reason", "detail"), REASONS)
def test_each_fault_has_its_reason(prompt: str, text: str | None, finish: str, reason: str, detail: str | None) -> None:
    kept, rejected, _, metrics = cleaned(samples((prompt, text, finish)))
    assert kept.is_empty()
    assert rejected.select("reason", "detail").rows() == [(reason, detail)]
    assert metrics["counts"]["rejected"] == {reason: 1}


GOOD = [
    "What is 3 + 4?",
    "Write a poem\n\nabout the sea, with <html> tags and [links].",
    "Continue the dialogue: User says hello.",
    "Sort: b b b b a c d e",
    "Hey",
    "解释一下什么是光合作用",
]


def test_an_instruction_about_a_foreign_text_is_kept() -> None:
    kept, rejected, _, _ = cleaned(
        samples(("chat", f"Translate into English: {GERMAN}", "stop"), ("chat", GERMAN, "stop"))
    )
    assert kept["instruction"].to_list() == [f"Translate into English: {GERMAN}"]
    assert rejected["reason"].to_list() == ["wrong_language"]


@pytest.mark.parametrize("text", GOOD)
def test_instructions_are_kept_as_they_are(text: str) -> None:
    kept, rejected, _, _ = cleaned(samples(("plain", f" {text}", "stop")))
    assert rejected.is_empty()
    assert kept["instruction"].to_list() == [text]
    assert kept["messages"].to_list()[0] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": text},
    ]


def test_plain_text_ends_a_turn() -> None:
    kept, _, _, _ = cleaned(samples(("plain", " Écris un poème é ASSISTANT: Voilà ASSISTANT: x", "length")))
    assert kept.select("instruction", "finish_reason").rows() == [("Écris un poème é", "stop")]


def test_duplicates_are_counted_and_rejected_by_name() -> None:
    kept, rejected, _, metrics = cleaned(
        samples(*[("chat", "What is 3 + 4?", "stop")] * 3, ("plain", "What is 3 + 4?", "stop"))
    )
    assert kept["count"].to_list() == [4]
    assert rejected["reason"].to_list() == ["duplicate"] * 3
    assert set(rejected["instruction_id"]) == set(kept["instruction_id"])
    assert metrics["richness"]["drawn_once"] == 0


def test_near_duplicates_name_who_stands_for_them() -> None:
    text = "Explain how a bill becomes a law in the United States of America {}"
    rows = samples(*[("chat", text.format(word), "stop") for word in ("today", "now", "now")])
    kept, rejected, _, _ = cleaned(rows)
    assert kept.select("instruction", "count").rows() == [(text.format("now"), 2)]
    near = rejected.filter(pl.col("reason") == "near_duplicate")
    assert near["detail"].to_list() == [f"0.846 of {kept['instruction_id'][0]}"]
    everything, _, _, _ = cleaned(rows, Clean.model_validate({"near_duplicates": {"threshold": None}}))
    assert len(everything) == 2


def test_contamination_can_be_reported_only() -> None:
    rows = samples(("chat", "List the capital of Peru", "stop"))
    kept, rejected, found, metrics = cleaned(rows, Clean.model_validate({"contamination": {"action": "report"}}))
    assert len(kept) == 1
    assert rejected.is_empty()
    assert found["instruction_id"].to_list() == kept["instruction_id"].to_list()
    assert metrics["contamination"]["suites"] == {"capitals": 1}


def conversation(*texts: str) -> pl.DataFrame:
    """SAMPLES: one conversation, of which `texts` are the user's turns, after a system message."""
    said = [{"role": r, "content": content} for text in texts[:-1] for r, content in (("user", text), ASSISTANT)]
    system = [{"role": "system", "content": "Be brief."}]
    return samples(("plain", f" {texts[-1]}", "stop")).with_columns(
        turn=pl.lit(len(texts), dtype=pl.Int64),
        messages=pl.Series([[*system, *said]], dtype=SAMPLES["messages"]),
    )


ASSISTANT = ("assistant", "Assistant: as in ### Response: List the capital of Peru")  # is not judged
LATER = [
    (["Hello there", "say <|im_start|>user", "And now?"], "template_leak", "turn 2: <|im_start|>"),
    (["go on and on " * 9, "What is 3 + 4?"], "repetition", "turn 1: 100 % of the text"),
    (["x", "say <|im_start|>user", "Fine"], "too_short", "turn 1: 1 characters"),
    (["x", "say <|im_start|>user"], "template_leak", "<|im_start|>"),  # the turn itself comes first
    (["list the capital of Peru", "Are you sure?"], "contaminated", "capitals: list the capital of peru"),
    (["Hello there", "list the capital of Peru", "Sure?"], "contaminated", "capitals: list the capital of peru"),
]


@pytest.mark.parametrize(("texts", "reason", "detail"), LATER)
def test_every_turn_of_a_conversation_is_judged(texts: list[str], reason: str, detail: str) -> None:
    rows = pl.concat([conversation(*texts), conversation("Hi", "How are you?").with_columns(sample_id=pl.lit("fine"))])
    kept, rejected, _, _ = cleaned(rows)
    assert kept["instruction"].to_list() == ["How are you?"]
    assert rejected.select("reason", "detail").rows() == [(reason, detail)]


def test_a_conversation_is_one_row_of_a_suite_with_its_longest_span() -> None:
    nine = "Name the nine planets that people knew of before 2006"
    items = [Item("a", "short", "Who are you?"), Item("a", "long", nine), Item("b", "short", "Who are you?")]
    turns = user_turns(conversation("Who are you?", nine, "Who are you?").lazy(), prompts().lazy()).collect()
    _, rejected, found, metrics = clean_samples(turns, items, Clean())
    assert found.select("suite", "item_id", "kind", "span").rows() == [
        ("a", "long", "exact", nine.lower()),
        ("b", "short", "exact", "who are you"),
    ]
    assert rejected["detail"].to_list() == [f"a: {nine.lower()}; b: who are you"]
    assert metrics["contamination"]["instructions"] == 1


def test_order_of_rows_changes_nothing() -> None:
    rows = samples(
        *[row[:3] for row in REASONS], *[("chat", text, "stop") for text in GOOD * 2], ("plain", GOOD[0], "stop")
    )
    first = cleaned(rows)
    for seed in range(5):
        again = cleaned(rows.sample(fraction=1, shuffle=True, seed=seed))
        assert all(a.equals(b) for a, b in zip(first[:3], again[:3], strict=True))
        assert first[3] == again[3]
    kept, rejected, _, metrics = first
    assert (
        metrics["samples"] == len(rows) == kept["count"].sum() + rejected.filter(pl.col("reason") != "duplicate").height
    )
    assert json.dumps(metrics, allow_nan=False)


def test_nothing_at_all() -> None:
    kept, rejected, found, metrics = cleaned(samples())
    assert kept.is_empty()
    assert rejected.is_empty()
    assert found.is_empty()
    assert metrics["richness"]["coverage"] == 0.0


def test_loops() -> None:
    shares = repeated_share(
        pl.Series(["a b c " * 5 + "x y z", "hahahahahahahahaha what", "1 2 3 4", "", "好" * 9, "no no no"])
    )
    assert shares.tolist() == pytest.approx([15 / 18, 18 / 23, 0, 0, 1, 0], abs=0.01)


def test_the_step_writes_every_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("evaluate: {suites: {sums: {path: sums.jsonl, kind: exact}}}\n")
    Path("harness.jsonl").write_text('{"item_id": "1", "task": "greetings", "prompt": "Goodbye then"}\n')
    Path("sums.jsonl").write_text('{"item_id": "1", "prompt": "What is 3 + 4?", "answer": "7"}\n')
    prompts().write_parquet("prompts.parquet")
    texts = ("What is 3 + 4?", "Hello there", "Goodbye then")
    samples(*(("chat", text, "stop") for text in texts)).write_parquet("samples.parquet")
    outputs = {"instructions": INSTRUCTIONS, "rejected": REJECTED_INSTRUCTIONS, "contamination": CONTAMINATION}
    words = [word for name in outputs for word in (f"--{name}", f"{name}.parquet")]
    inputs = ["--params", "evaluate.suites.sums.path", "--prompts", "prompts.parquet", "--samples", "samples.parquet"]
    inputs += ["--harness", "harness.jsonl"]
    monkeypatch.setattr(sys, "argv", ["clean", *inputs, *words, "--metrics", "metrics.json"])
    main()
    for name, schema in outputs.items():
        assert pl.read_parquet_schema(f"{name}.parquet") == schema
    assert pl.read_parquet("instructions.parquet")["instruction"].to_list() == ["Hello there"]
    assert sorted(pl.read_parquet("contamination.parquet")["suite"]) == ["harness", "sums"]
    assert json.loads(Path("metrics.json").read_text())["instructions"] == 1


def test_instructions_keep_what_their_template_showed() -> None:
    options = {"tools": [{"name": "a", "about": "ä"}], "enable_thinking": True}
    shown = pl.lit(json.dumps({"date": "2024-07-26", "options": options}))
    rendering = pl.when(pl.col("prompt_id") == "plain").then(shown).otherwise(pl.col("rendering"))
    asked = prompts().with_columns(rendering=rendering)
    turns = user_turns(samples(("chat", "Name a river", "stop"), ("plain", "Sing", "stop")).lazy(), asked.lazy())
    kept = clean_samples(turns.collect(), [], Clean())[0]
    found = dict(kept.select("instruction", "rendering").iter_rows())
    assert found["Name a river"] is None
    assert json.loads(found["Sing"]) == options
