"""The seed step: prompts by slice and system prompt, the in-context route, the prefix by hand, and bad input."""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import AddedToken

from holdfast.common.errors import UserError
from holdfast.common.section import Section
from holdfast.common.shares import shares
from holdfast.common.tables import PROMPTS
from holdfast.steps.clean.params import Clean
from holdfast.steps.reconstruct.params import Reconstruct
from holdfast.steps.seed.__main__ import main
from holdfast.steps.seed.params import Seed
from small_tokenizers import tokenizer
from templates import LLAMA3_USER, SHAPES, Shape

DECLARED = "random_seed,base,seed,models.mine.path"


@pytest.fixture
def seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that runs the step on a template's shape with parameters, and returns the prompts."""
    monkeypatch.chdir(tmp_path)

    def run(
        shape: str | Shape, samples: int = 100, prefix: Any = None, words: Sequence[str] = (), **section: Any
    ) -> pl.DataFrame:
        fast = tokenizer(SHAPES[shape] if isinstance(shape, str) else shape)
        fast.add_tokens([AddedToken(word, special=False, normalized=False) for word in words])
        fast.save_pretrained("model")
        params = {"random_seed": 0, "base": "mine", "models": {"mine": {"path": "model"}}, "seed": section}
        params["seed"] |= {"samples": samples, "prefix": prefix}
        Path("params.yaml").write_text(yaml.safe_dump(params))
        monkeypatch.setattr(sys, "argv", ["seed", "--params", DECLARED, "--prompts", "prompts.parquet"])
        main()
        table = pl.read_parquet("prompts.parquet")
        assert table.schema == PROMPTS
        assert table["samples"].sum() == samples
        assert table["prompt_id"].to_list() == sorted(set(table["prompt_id"]))
        return table

    return run


def lines(name: str, *rows: Any) -> str:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return name


def test_without_settings_there_is_one_prompt(seed: Any) -> None:
    row = seed("llama3").row(0, named=True)
    assert row["kind"] == "template"
    assert row["slice"] == "general"
    assert row["prefix_text"] == "<s>" + LLAMA3_USER
    assert row["samples"] == 100
    assert {"<|eot_id|>", "<s>", "</s>"} <= set(row["marks"])
    assert "assistant" not in row["marks"]  # a word that people use


HTML = ["<h1>", "<table>", "</strong>"]


@pytest.mark.parametrize(
    ("shape", "options", "own"),
    [
        ("gemma", {}, {"<start_of_turn>", "<end_of_turn>"}),
        ("chatml", {"system_prompts": "html.jsonl"}, {"<|im_start|>"}),
        ("chatml_no_think", {}, {"<|im_start|>", "<think>", "</think>"}),
        ("no_template", {"examples": "examples.jsonl", "examples_per_prompt": 1}, {"</s>"}),
    ],
)
def test_tokens_for_what_users_write_are_no_marks(
    seed: Any, shape: str, options: dict[str, Any], own: set[str]
) -> None:
    """HTML tags are added tokens of Gemma's that are not special; `<think>` is one too, but the template writes it."""
    lines("html.jsonl", {"system": "You write <h1> and <table>."})
    lines("examples.jsonl", {"instruction": "What does <h1> mean?"})
    marks = set(seed(shape, words=HTML, **options)["marks"][0])
    assert own <= marks
    assert not marks & set(HTML)


def test_system_prompts_by_weight_in_any_order(seed: Any) -> None:
    rows = [{"system": None, "weight": 0.6}, {"system": "Be brief.", "weight": 0.3}, {"system": "Rhyme."}]
    table = seed("llama3", system_prompts=lines("a.jsonl", *rows, {"system": "Rhyme.", "weight": 0.1}))
    found = dict(table.select("system", "samples").iter_rows())
    assert found == {None: 30, "Be brief.": 15, "Rhyme.": 55}
    again = seed("llama3", system_prompts=lines("a.jsonl", {"system": "Rhyme.", "weight": 1.1}, *rows[1::-1]))
    assert again.equals(table)


def test_slices_have_shares_settings_and_languages(seed: Any) -> None:
    lines("code.jsonl", {"system": "You write code."})
    Path("tools.json").write_text('[{"type": "function", "function": {"name": "look_up"}}]')
    table = seed(
        "chatml_tools",
        samples=10,
        slices={
            "general": {"share": 6},
            "code": {"share": 2, "system_prompts": "code.jsonl", "language": "en"},
            "tools": {"share": 2, "tools": "tools.json"},
        },
    )
    by_slice = {row["slice"]: row for row in table.iter_rows(named=True)}
    assert {name: row["samples"] for name, row in by_slice.items()} == {"general": 6, "code": 2, "tools": 2}
    assert by_slice["code"]["system"] == "You write code."
    assert by_slice["code"]["language"] == "en"
    assert "look_up" in by_slice["tools"]["prefix_text"]
    thinking = seed("chatml_no_think", slices={"thinking": {"template": {"enable_thinking": True}}})
    assert thinking["assistant_text"].to_list() == ["<|im_start|>assistant\n"]


def test_the_date_is_a_parameter_not_today(seed: Any) -> None:
    assert "26 Jul 2024" in seed("llama3_dated")["prefix_text"][0]
    assert "05 Mar 2024" in seed("llama3_dated", date="2024-03-05")["prefix_text"][0]


def test_other_sizes_leave_the_prompts_their_ids(seed: Any) -> None:
    assert seed("llama3", samples=7)["prompt_id"].to_list() == seed("llama3", samples=9)["prompt_id"].to_list()


def test_no_template_goes_by_examples(seed: Any) -> None:
    examples = lines("examples.jsonl", *({"instruction": f"Do thing number {k}."} for k in range(9)))
    table = seed("no_template", examples=examples, example_prompts=5, examples_per_prompt=3)
    assert table["kind"].unique().to_list() == ["in_context"]
    assert len(table) == 5
    assert table["samples"].to_list() == [20] * 5
    for row in table.iter_rows(named=True):
        assert row["prefix_text"].count("Do thing number") == 3
        assert row["prefix_text"].endswith("### Instruction:\n")
        assert row["stop_text"] == "\n\n###"


def test_a_prefix_by_hand_wins(seed: Any) -> None:
    table = seed("shouts", prefix={"text": "<|im_start|>user\n", "stops": ["<|im_end|>"], "assistant": "<|im_start|>"})
    row = table.row(0, named=True)
    fast = tokenizer(SHAPES["shouts"])
    assert fast.convert_ids_to_tokens(row["stop_ids"]) == ["<|im_end|>", "</s>"]
    assert fast.decode(row["prefix_ids"]) == "<|im_start|>user\n"


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("shouts", {}, "changes the user's text.*seed.prefix"),
    ("gemma", {"system_prompts": "good.jsonl"}, "no system role"),
    ("smollm_dated", {"system_prompts": "good.jsonl"}, "ignores the system message"),
    ("no_template", {}, "no chat template: set seed.examples"),
    (
        "no_template",
        {"examples": "few.jsonl", "system_prompts": "good.jsonl", "slices": {"a": {"template": {"x": 1}}}},
        "seed.system_prompts, seed.slices.a.template: no effect",
    ),
    ("no_template", {"examples": "few.jsonl", "examples_per_prompt": 4}, "1 examples; .* asks for 4"),
    ("llama3", {"system_prompts": "bad.jsonl"}, 'bad.jsonl line 2: "weight" is -1'),
    ("llama3", {"system_prompts": "missing.jsonl"}, "missing.jsonl: cannot be read: No such file"),
    ("llama3", {"system_prompts": "empty.jsonl"}, "is empty"),
    ("llama3", {"system_prompts": "other.jsonl"}, "other.jsonl line 1: expected an object with system and weight"),
    ("llama3", {"slices": {"t": {"tools": "good.jsonl"}}}, "expected a list of tool schemas"),
    ("llama3", {"date": "tomorrow"}, "seed.date"),
    ("llama3", {"slices": {}}, "seed.slices"),
    ("llama3", {"slices": {"a": {"share": 0}}}, "seed.slices.a.share"),
]


@pytest.mark.parametrize(("shape", "section", "fault"), BAD)
def test_bad_input_names_file_fault_and_repair(seed: Any, shape: str, section: dict[str, Any], fault: str) -> None:
    lines("good.jsonl", {"system": "Be brief."})
    lines("bad.jsonl", {"system": "Be brief."}, {"system": None, "weight": -1})
    lines("few.jsonl", {"instruction": "Sing."})
    lines("other.jsonl", {"content": "x"})
    Path("empty.jsonl").write_text("\n")
    with pytest.raises(UserError, match=fault):
        seed(shape, **section)
    assert not Path("prompts.parquet").exists()


def test_what_the_template_does_to_the_user_s_text_is_said(seed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    shape = SHAPES["chatml"]
    seed(shape._replace(template=shape.template.replace("m.content", "m.content | replace('\t', ' ')")))
    said = capsys.readouterr().out
    assert "seed: note: the chat template changes tabs in the user's text: the model sees 'xa\\tby' as 'xa by'" in said


def test_a_stop_by_hand_must_be_one_token(seed: Any) -> None:
    with pytest.raises(UserError, match=r"is \d+ tokens"):
        seed("shouts", prefix={"text": "user:", "stops": ["stop it here"]})


@given(
    st.dictionaries(st.text(min_size=1, max_size=3), st.floats(0.001, 1000), min_size=1, max_size=9),
    st.integers(0, 1000),
)
@example({"4": 1.7997496853046187, "5": 1.0, "0": 388.0, "1": 1e3, "2": 1e3, "3": 1e3, "00": 999.9999999999999}, 1)
def test_shares_add_up_and_are_fair(weights: dict[str, float], total: int) -> None:
    found = shares(weights, total)
    assert sum(found.values()) == total
    for key, weight in weights.items():
        assert abs(found[key] - total * weight / sum(weights.values())) < 1 + 1e-6
    assert shares(dict(reversed(weights.items())), total) == found


def test_the_documented_settings_are_valid() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs/instructions.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    assert len(blocks) >= 3
    sections: dict[str, type[Section]] = {"seed": Seed, "reconstruct": Reconstruct, "clean": Clean}
    for block in blocks:
        for key, found in block.items():
            sections[key].model_validate(found)
