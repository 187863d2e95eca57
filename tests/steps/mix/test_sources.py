"""The user's files as rows: the same from every form, nothing passed over in silence, faults in few lines."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.common.errors import UserError
from holdfast.steps.mix.params import Source
from holdfast.steps.mix.sources import load_file
from mixing import write_lines

# arguments that leave keys out, nested ones too; a key has one type, as Arrow wants it
PLACES = st.fixed_dictionaries({}, optional={"lat": st.integers(-90, 90), "name": st.text(max_size=3)})
ARGUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "altitude": st.integers(0, 9000),
        "location": PLACES,
        "days": st.lists(st.text(max_size=2), max_size=2),
        "stops": st.lists(PLACES, max_size=2),
        "metric": st.booleans(),
    },
)
PROPERTIES = st.dictionaries(
    st.sampled_from(["altitude", "location"]),
    st.fixed_dictionaries({"type": st.sampled_from(["string", "object"])}, optional={"enum": st.just(["a", "b"])}),
)
TOOLS = st.builds(
    lambda name, properties, required: {
        "type": "function",
        "function": {"name": name, "parameters": {"type": "object", "properties": properties} | required},
    },
    st.sampled_from(["climb", "fly"]),
    PROPERTIES,
    st.sampled_from([{}, {"required": ["altitude"]}]),
)
FULL = {"altitude": 1, "location": {"lat": 1, "name": "a"}, "days": ["b"], "metric": True}
FULL["stops"] = [FULL["location"]]
TYPES = {"type": "object", "enum": ["a"]}
FULL_TOOL = {"name": "fly", "parameters": {"type": "object", "properties": {"altitude": TYPES, "location": TYPES}}}


def talk(arguments, thought, number):
    called = {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"function": {"name": "climb", "arguments": arguments}}],
    }
    if thought is not None:
        called["reasoning_content"] = thought
    answered = [{"role": "tool", "content": "up"}, {"role": "assistant", "content": "Up."}]
    return [{"role": "user", "content": f"Climb {number}"}, called, *answered]


def forms(rows, folder):
    """The rows as JSONL, as Parquet by two writers, and as a `datasets` folder."""
    import datasets

    datasets.disable_progress_bars()
    write_lines(folder / "a.jsonl", rows)
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(folder / "a.parquet")
    table = datasets.Dataset.from_list(rows)
    table.to_parquet(folder / "b.parquet")
    table.save_to_disk(folder / "c")
    return [folder / name for name in ("a.jsonl", "a.parquet", "b.parquet", "c")]


def loaded(path, **source):
    return load_file("mine", Source(path=str(path), **source), str(path), 0.0)[0]


CALLS = st.tuples(ARGUMENTS, st.none() | st.text(min_size=1, max_size=3), st.lists(TOOLS, max_size=2))


@settings(max_examples=25, deadline=None)
@given(st.lists(CALLS, max_size=3))
def test_tool_calls_and_tools_are_the_same_from_every_form(calls):
    calls = [*calls, (FULL, "t", [{"type": "function", "function": FULL_TOOL}])]  # Arrow has no empty objects alone
    rows = [{"messages": talk(a, thought, n), "tools": tools} for n, (a, thought, tools) in enumerate(calls)]
    with TemporaryDirectory() as folder:
        first, *others = (loaded(path).drop("origin") for path in forms(rows, Path(folder)))
    for frame in others:
        assert frame.equals(first)
    for (arguments, _, tools), text, offered in zip(calls, first["conversation"], first["tools"], strict=True):
        assert json.loads(json.loads(text)[1]["tool_calls"][0]["function"]["arguments"]) == arguments
        assert json.loads(offered or "[]") == tools


def test_the_training_file_is_the_same_from_every_form(project):
    rows = [{"messages": talk({"altitude": 100} if n % 2 else {"location": {"lat": n}}, None, n)} for n in range(20)]
    written = []
    for path in forms(rows, Path(".")):
        project({"mine": {"path": str(path)}}, {"sources": {"mine": 1.0}}, sequence_len=400)
        written.append((Path("out/train.jsonl").read_bytes(), Path("out/val.jsonl").read_bytes()))
    assert written[1:] == written[:1] * 3
    assert b"null}" not in written[0][0].replace(b"\\", b"")


def test_nulls_that_may_be_the_users_are_said_and_those_in_json_text_are_kept(tmp_path, capsys):
    schema = [{"type": "function", "function": {"name": "f", "parameters": {"default": None, "enum": ["a", None]}}}]
    call = {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"function": {"name": "f", "arguments": {"x": None, "y": 1}}}],
    }
    rows = [{"messages": [{"role": "user", "content": "x"}, call], "tools": schema}]
    for path in forms(rows, tmp_path):
        (row,) = loaded(path).iter_rows(named=True)
        arguments = json.loads(row["conversation"])[1]["tool_calls"][0]["function"]["arguments"]
        said = capsys.readouterr().err
        if path.suffix == ".jsonl":
            assert (json.loads(row["tools"]), json.loads(arguments), said) == (schema, {"x": None, "y": 1}, "")
        else:
            assert json.loads(arguments) == {"y": 1}
            assert json.loads(row["tools"])[0]["function"]["parameters"] == {"enum": ["a", None]}
            assert said.count("null keys") == 1
            assert "messages.tool_calls.function.arguments.x, tools.function.parameters.default; if" in said
    text = json.loads(json.dumps(rows))
    text[0]["tools"] = json.dumps(schema)
    text[0]["messages"][1]["tool_calls"][0]["function"]["arguments"] = '{"x": null, "y": 1}'
    (tmp_path / "text").mkdir()
    first, *others = (loaded(path).drop("origin") for path in forms(text, tmp_path / "text"))
    assert json.loads(first["tools"][0]) == schema
    assert all(frame.equals(first) for frame in others)
    assert "null keys" not in capsys.readouterr().err


def test_what_json_cannot_hold_is_a_fault_of_its_row(tmp_path):
    import datetime

    call = {"function": {"name": "f", "arguments": {"day": datetime.date(2026, 1, 2)}}}
    rows = [
        {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "", "tool_calls": [call]}]}
    ]
    pl.DataFrame(rows).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"row 1: message 2: the arguments of f cannot be written as JSON: .*date"):
        loaded(tmp_path / "a.parquet")


def test_unused_columns_are_named_once(tmp_path, capsys):
    rows = [{"question": f"q{n}", "answer": "a", "id": n, "label": True, "images": []} for n in range(3)]
    write_lines(tmp_path / "a.jsonl", [*rows, {"question": "q", "answer": "a", "topic": "x"}])
    assert len(loaded(tmp_path / "a.jsonl")) == 4
    assert capsys.readouterr().err == f"source mine: not used of {tmp_path}/a.jsonl: id, images, label, topic\n"
    turns = [{"role": "user", "content": "q", "time": 3}, {"role": "assistant", "content": "a"}]
    write_lines(tmp_path / "a.jsonl", [{"messages": turns}])
    loaded(tmp_path / "a.jsonl")
    assert capsys.readouterr().err.endswith(": time of messages\n")


def test_rows_that_mean_something_else_stop_the_build(tmp_path):
    rows = [{"prompt": f"q{n}", "completion": "a", "label": n % 2 == 0} for n in range(300)]
    write_lines(tmp_path / "kto.jsonl", rows)
    with pytest.raises(UserError) as error:
        loaded(tmp_path / "kto.jsonl")
    head, line = str(error.value).splitlines()
    assert head == f"{tmp_path}/kto.jsonl: 150 of 300 rows mean something else than their texts say:"
    assert "kto.jsonl line 2: label is false: it marks a bad answer (KTO); keep the rows with a true label" in line
    assert "(150 rows: lines 2, 4, 6," in line
    write_lines(tmp_path / "kto.jsonl", [row for row in rows if row["label"]])
    assert len(loaded(tmp_path / "kto.jsonl")) == 150


def test_a_file_that_is_bad_throughout_is_one_line(tmp_path, capsys):
    write_lines(tmp_path / "a.jsonl", [{"question": f"q{n}", "answer": n} for n in range(3000)])
    with pytest.raises(UserError) as error:
        loaded(tmp_path / "a.jsonl")
    lines = str(error.value).splitlines()
    assert len(lines) == 2
    assert lines[1].endswith("line 1: answer is 0, a text is expected (3,000 rows: lines 1-3000)")
    assert capsys.readouterr().err == ""


def test_each_kind_of_fault_is_a_line(tmp_path):
    rows = [{"question": "q", "answer": n if n % 3 else None} for n in range(9)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + "{cut")
    with pytest.raises(UserError) as error:
        loaded(tmp_path / "a.jsonl")
    lines = [line.split("a.jsonl ")[-1] for line in str(error.value).splitlines()[1:]]
    assert lines[0] == "line 1: 'answer' is missing (3 rows: lines 1, 4, 7)"
    assert lines[1] == "line 2: answer is 1, a text is expected (6 rows: lines 2-3, 5-6, 8-9)"
    assert lines[2].startswith("line 10: not JSON: ")


def test_columns_that_are_not_there_are_named(tmp_path):
    write_lines(tmp_path / "a.jsonl", [{"q": "q", "reply": "a"}])
    with pytest.raises(UserError, match=r"has no column question_text, which sources.mine.columns names; its columns"):
        loaded(tmp_path / "a.jsonl", columns={"question": "question_text", "answer": "reply"})
