"""The mix step: files in, a mixture with its card out; bad input leaves nothing behind."""

import hashlib
import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from holdfast.common.errors import UserError
from holdfast.common.tables import MIX_REJECTED, SELECTED
from mixing import GOOD, selection, write_lines
from models import tiny_model


def test_a_tokenizer_with_code_of_its_own_is_loaded_where_it_is_trusted(project):
    shutil.copytree(tiny_model(), "own")
    config = json.loads(Path("own/tokenizer_config.json").read_text())
    auto = {"auto_map": {"AutoTokenizer": [None, "own.OwnTokenizer"]}, "tokenizer_class": "OwnTokenizer"}
    Path("own/tokenizer_config.json").write_text(json.dumps(config | auto))
    code = (
        "from transformers import PreTrainedTokenizerFast\n\nclass OwnTokenizer(PreTrainedTokenizerFast):\n    pass\n"
    )
    Path("own/own.py").write_text(code)
    with pytest.raises(UserError, match="contains custom code"):
        project(base="own", trusted=False)
    assert project(base="own", trusted=True) == project()


def test_a_mixture_and_its_records(project):
    train = project()
    val = [json.loads(line) for line in Path("out/val.jsonl").read_text().splitlines()]
    summary = json.loads(Path("out/summary.json").read_text())
    rejected = pl.read_parquet("out/rejected.parquet")
    assert rejected.schema == pl.Schema(MIX_REJECTED)
    # 39 domain rows (one is in the suite) are used whole, so 156 rehearsal rows go with them
    assert len(train) + len(val) == 195
    assert sum(row["source"] == "domain" for row in train + val) == 39
    assert summary["rejected"] == {"domain": {"in_evaluation": 1}, "rehearsal": {"not_drawn": 144}}
    assert [s["share_of_rows"] for s in summary["sources"]] == [0.2, 0.8]
    assert rejected.height == 145
    one = next(row for row in train if row["source"] == "rehearsal")
    n = one["row_id"][1:]
    answered = {"role": "assistant", "content": f"It is {n}."}
    assert one["messages"] == [{"role": "user", "content": f"Say the number {n}."}, answered]
    assert (one["model"], one["score"], one["licence"], one["instruction_id"]) == ("base", 4.5, "Apache-2.0", f"i{n}")
    assert one["tokens"] == len(f"_user\nSay the number {n}.__assistant\nIt is {n}._") + 1
    table = pl.read_parquet("out/train.parquet")
    assert table.to_dicts() == train


def test_no_turn_of_a_conversation_is_a_test_item(project):
    def talk(*texts):
        roles = ("user", "assistant") * len(texts)
        return {"messages": [{"role": r, "content": t} for r, t in zip(roles, texts, strict=False)]}

    asked = "Which code has part 3?"
    clean = talk("Hi", "Hello", "And you?", f"You asked: {asked}")
    write_lines("talk.jsonl", [talk(asked, "21", "Sure?", "Yes"), talk("Hi", "Yes?", asked, "21"), clean])
    train = project({"talk": {"path": "talk.jsonl"}}, {"sources": {"talk": 1.0}}, {"validation": 0})
    assert [row["messages"] for row in train] == [clean["messages"]]
    rejected = pl.read_parquet("out/rejected.parquet")
    assert (
        rejected.select("reason", "detail").rows()
        == [("in_evaluation", "suite.jsonl x1 (exact): which code has part 3")] * 2
    )


def test_the_card_is_one_that_hugging_face_reads(project, tmp_path):
    import datasets
    import huggingface_hub

    train = project()
    head = huggingface_hub.DatasetCard.load("out/README.md").data
    assert (head.license, head.license_name) == ("other", "Apache-2.0 and MIT")
    assert head.size_categories == ["n<1K"]
    loaded = datasets.load_dataset("out", cache_dir=str(tmp_path / "cache"))
    assert loaded["train"].to_list() == train
    assert loaded["validation"].num_rows == json.loads(Path("out/summary.json").read_text())["val_rows"]
    text = Path("out/README.md").read_text()
    assert "| rehearsal | 80.00% | 80.00% |" in text
    assert hashlib.sha256(Path("out/train.jsonl").read_bytes()).hexdigest() in text


def test_the_same_input_gives_the_same_bytes_in_any_order(project):
    project()
    before = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    rows = Path("domain.jsonl").read_text().splitlines()
    Path("domain.jsonl").write_text("\n".join(reversed(rows)) + "\n")
    project()
    for name in ("train.jsonl", "val.jsonl", "train.parquet"):
        assert (Path("out") / name).read_bytes() == before[name]


def test_too_long_rows_are_rejected_or_cut(project, capsys):
    long = [{"question": f"Tell {i}", "answer": "word " * 100} for i in range(20)]
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    talk += [{"role": "user", "content": "And?"}, {"role": "assistant", "content": "long " * 100}]
    write_lines("long.jsonl", long)
    write_lines("talk.jsonl", [{"messages": talk}])
    sources = {"domain": {"path": "domain.jsonl"}, "long": {"path": "long.jsonl"}, "talk": {"path": "talk.jsonl"}}
    arm = {"sources": {"domain": 1.0}}
    with pytest.raises(UserError, match="source long has no usable row"):
        project({k: sources[k] for k in ("domain", "long")}, {"sources": {"domain": 0.5, "long": 0.5}}, sequence_len=64)
    assert "mix a: long: 20 rows rejected: too_long, such as: " in capsys.readouterr().out
    assert not Path("out").exists()
    arm = {"sources": {"domain": 39.0, "long": 20.0, "talk": 1.0}}
    train = project(sources, arm, {"too_long": "truncate", "validation": 0}, sequence_len=64)
    cut = [row for row in train if row["truncated"]]
    assert len(cut) == 21
    assert max(row["tokens"] for row in train) <= 64
    assert all(row["tokens"] > 55 for row in cut if row["source"] == "long")
    assert next(row for row in cut if row["source"] == "talk")["messages"] == talk[:2]


def test_tools_and_thinking_reach_every_file(project):
    function = {"name": "add", "arguments": '{"a": 1}'}
    called = {
        "role": "assistant",
        "content": "",
        "reasoning_content": "hm",
        "tool_calls": [{"type": "function", "function": function}],
    }
    messages = [
        {"role": "user", "content": "1+2?"},
        called,
        {"role": "tool", "content": "3"},
        {"role": "assistant", "content": "3"},
    ]
    tools = [{"type": "function", "function": {"name": "add"}}]
    write_lines("tools.jsonl", [{"messages": messages, "tools": tools}])
    sources = {"domain": {"path": "domain.jsonl"}, "tools": {"path": "tools.jsonl"}}
    train = project(sources, {"sources": {"domain": 39.0, "tools": 1.0}}, {"validation": 0})
    row = next(row for row in train if row["source"] == "tools")
    assert row["messages"] == messages
    assert json.loads(row["tools"]) == tools
    table = pl.read_parquet("out/train.parquet").filter(pl.col("source") == "tools").row(0, named=True)
    assert table["messages"][1]["tool_calls"][0]["function"] == function


def test_the_tools_of_a_slice_are_trained_on(project):
    tools = [{"type": "function", "function": {"name": "look_up", "about": "ä"}}]
    shown = [json.dumps({"tools": tools, "enable_thinking": True}), '{"enable_thinking": true}', None]
    rows = [selection(i) | {"rendering": shown[i % 3]} for i in range(300)]
    pl.DataFrame(rows, schema=SELECTED).write_parquet("data/filter/selected.parquet")
    found = {row["row_id"]: row["tools"] for row in project() if row["source"] == "rehearsal"}
    for row_id, text in found.items():
        assert (text and json.loads(text)) == (tools if int(row_id[1:]) % 3 == 0 else None)
    assert any(found.values())


def test_a_base_without_a_template_takes_the_users(project, tmp_path):
    base = shutil.copytree(tiny_model(), tmp_path / "base")
    template = (base / "chat_template.jinja").rename(tmp_path / "mine.jinja")
    with pytest.raises(UserError, match=r"no chat template; set models.<name>.chat_template"):
        project(base=base)
    assert project(base=base, chat_template=str(template)) == project()


def test_what_the_chat_template_refuses_is_set_aside(project, tmp_path):
    base = shutil.copytree(tiny_model(), tmp_path / "base")
    template = base / "chat_template.jinja"
    no_system = "{% if messages[0].role == 'system' %}{{ raise_exception('no system prompts here') }}{% endif %}"
    template.write_text(no_system + template.read_text())
    write_lines("system.jsonl", [GOOD | {"system": "Be brief"}, {"question": "How?", "answer": "So."}])
    sources = {"domain": {"path": "domain.jsonl"}, "system": {"path": "system.jsonl"}}
    project(sources, {"sources": {"domain": 39.0, "system": 1.0}}, base=base)
    rejected = pl.read_parquet("out/rejected.parquet").filter(pl.col("reason") == "template_refused")
    assert rejected["source"].to_list() == ["system"]
    assert "no system prompts here" in rejected["detail"][0]
