"""Files of every form give their rows with their places; a file that cannot be read says why."""

import csv
import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.common.data_files import read_records, read_rows
from holdfast.common.errors import UserError

ROWS = [{"question": f"q {i}\nline", "answer": f'ä, "{i}"'} for i in range(3)]


def write(folder, name, rows=ROWS):
    path = folder / name
    if name.endswith(".jsonl") or name.endswith(".txt"):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif name.endswith(".json"):
        path.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    elif name.endswith((".csv", ".tsv")):
        pl.DataFrame(rows).write_csv(path, separator="\t" if name.endswith(".tsv") else ",")
    else:
        pl.DataFrame(rows).write_parquet(path)
    return path


@pytest.mark.parametrize(
    "name", ["a.jsonl", "a.json", "a.csv", "a.tsv", "a.parquet", "export.txt", "parquet-without-suffix"]
)
def test_every_form_is_recognised(tmp_path, name):
    assert [record.value for record in read_records(str(write(tmp_path, name)))] == ROWS


def test_places_are_those_of_the_file(tmp_path):
    assert [r.place for r in read_records(str(write(tmp_path, "a.jsonl")))] == ["line 1", "line 2", "line 3"]
    assert [r.place for r in read_records(str(write(tmp_path, "a.csv")))] == ["line 2", "line 4", "line 6"]
    assert [r.place for r in read_records(str(write(tmp_path, "a.parquet")))] == ["row 1", "row 2", "row 3"]


def test_a_json_file_may_be_lines_or_wrap_its_rows(tmp_path):
    (tmp_path / "lines.json").write_text("\n".join(json.dumps(row) for row in ROWS))
    (tmp_path / "wrapped.json").write_text(json.dumps({"version": 1, "data": ROWS}, indent=2))
    (tmp_path / "single.json").write_text(json.dumps(ROWS[0], indent=2))
    (tmp_path / "wrapped_in_a_line.json").write_text(json.dumps({"version": 1, "data": ROWS}) + "\n\n")
    (tmp_path / "single_line.json").write_text(json.dumps(ROWS[0]))
    wrapped = [("wrapped", ROWS), ("wrapped_in_a_line", ROWS)]
    for name, expected in [("lines", ROWS), *wrapped, ("single", ROWS[:1]), ("single_line", ROWS[:1])]:
        assert [record.value for record in read_records(str(tmp_path / f"{name}.json"))] == expected


# beside plain text, what some call the end of a line and CSV does not, and what CSV writes in quotes
FIELDS = st.text(
    st.one_of(st.sampled_from('ab ,;"\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029'), st.characters(codec="utf-8"))
)


@given(st.lists(st.tuples(FIELDS, FIELDS), min_size=1, max_size=5))
def test_csv_is_read_as_it_was_written(rows):
    rows = [tuple(field.replace("\0", "") for field in row) for row in rows]
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    places = []
    for row in [("question", "answer"), *rows]:
        written = text.getvalue()
        ends = written.count("\n") + written.count("\r") - written.count("\r\n")
        places.append(f"line {ends + 1}")
        writer.writerow(row)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        path.write_bytes(text.getvalue().encode())
        found = list(read_records(str(path)))
    written = [(row, place) for row, place in zip(rows, places[1:], strict=True) if any(row)]  # others are blank lines
    assert [record.value for record in found] == [{"question": q, "answer": a} for (q, a), _ in written]
    assert [record.place for record in found] == [place for _, place in written]


def test_a_byte_order_mark_and_blank_lines_are_no_fault(tmp_path):
    text = "\ufeff" + "\r\n\r\n".join(json.dumps(row) for row in ROWS)
    (tmp_path / "a.jsonl").write_text(text, encoding="utf-8")
    assert [record.value for record in read_records(str(tmp_path / "a.jsonl"))] == ROWS


def test_a_spreadsheets_export_is_read(tmp_path):
    path = tmp_path / "excel.csv"
    lines = ["question;answer;;", '"Was kostet ""A, B""?";"1,50 €";;', '"mit\nUmbruch";zwei;;', ";;;"]
    expected = [{"question": 'Was kostet "A, B"?', "answer": "1,50 €"}, {"question": "mit\nUmbruch", "answer": "zwei"}]
    for head in ("", "sep=;\r\n"):
        path.write_bytes(("\ufeff" + head + "\r\n".join(lines) + "\r\n").encode())
        found = list(read_records(str(path)))
        assert [record.value for record in found] == expected
        assert found[1].place == f"line {4 if head else 3}"


@pytest.mark.parametrize("delimiter", ",;\t|")
def test_the_delimiter_is_the_headers(tmp_path, delimiter):
    (tmp_path / "a.csv").write_text(f'"question, with; a comma"{delimiter} answer \na{delimiter}"b,c;d,e"\n')
    (record,) = read_records(str(tmp_path / "a.csv"))
    assert record.value == {"question, with; a comma": "a", "answer": "b,c;d,e"}


def test_another_delimiter_is_said(tmp_path):
    (tmp_path / "a.csv").write_text("question^answer\na^b\n")
    with pytest.raises(UserError, match=r"the header is one column, 'question.answer'; is the delimiter another one"):
        list(read_records(str(tmp_path / "a.csv")))


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.parquet", "a", "folder"])
def test_a_git_lfs_pointer_is_named(tmp_path, name):
    path = tmp_path / name
    if name == "folder":
        (path / "data").mkdir(parents=True)
        (path / "README.md").write_text("# Data")
    file = path / "data" / "train.parquet" if name == "folder" else path
    file.write_text(POINTER)
    with pytest.raises(UserError, match="is a Git LFS pointer, not the data; run `git lfs pull`"):
        list(read_records(str(path)))


def test_a_json_file_of_splits(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"train": ROWS[:2], "test": ROWS[2:]}))
    assert [r.value for r in read_records(str(path))] == ROWS[:2]
    assert [r.value for r in read_records(str(path), split="test")] == ROWS[2:]
    assert len(list(read_records(str(path), split=None))) == 3
    with pytest.raises(UserError, match="has no split 'dev', only test, train; set `split` of the source"):
        list(read_records(str(path), split="dev"))
    path.write_text(json.dumps({"messages": [{"role": "user"}], "tools": [{"name": "f"}]}))
    assert len(list(read_records(str(path)))) == 1


def test_rows_that_have_to_be_right(tmp_path):
    path = write(tmp_path, "a.jsonl")
    assert list(read_rows(str(path))) == [(f"{path} line {n}", row) for n, row in enumerate(ROWS, 1)]
    path.write_bytes(b'{"a": 1}\r\n{"a": \r\n')
    with pytest.raises(UserError, match=r"a.jsonl line 2: not JSON: .* repair the row"):
        list(read_rows(str(path)))


def test_columns_of_any_arrow_type_are_texts(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    table = pa.table(
        {
            "question": pa.array(["a", "b"], pa.large_string()),
            "answer": pa.array(["x", "y"]).dictionary_encode(),
            "system": pa.array(["s", None], pa.string_view()),
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    found = [record.value for record in read_records(str(tmp_path / "a.parquet"))]
    assert found == [{"question": "a", "answer": "x", "system": "s"}, {"question": "b", "answer": "y", "system": None}]


# an object that leaves some keys out, in lists and objects, as tool calls do
OBJECTS = st.fixed_dictionaries(
    {},
    optional={
        "city": st.text(max_size=3),
        "days": st.lists(st.integers(0, 9), max_size=2),
        "at": st.fixed_dictionaries({}, optional={"x": st.integers(0, 9), "y": st.booleans()}),
        "parts": st.lists(
            st.fixed_dictionaries({}, optional={"a": st.integers(0, 9), "b": st.text(max_size=2)}), max_size=3
        ),
    },
)


@settings(max_examples=40, deadline=None)
@given(st.lists(OBJECTS.filter(bool), min_size=1, max_size=4))
def test_objects_come_back_from_arrow_without_the_keys_that_it_adds(objects):
    import datasets

    datasets.disable_progress_bars()
    rows = [{"id": n, "calls": [{"arguments": o}]} for n, o in enumerate(objects)]
    with TemporaryDirectory() as folder:
        rows += [
            {"id": len(rows), "calls": [{"arguments": {"at": {"x": 1, "y": True}, "parts": [{"a": 1, "b": "b"}]}}]}
        ]
        datasets.Dataset.from_list(rows).to_parquet(f"{folder}/a.parquet")
        datasets.Dataset.from_list(rows).save_to_disk(f"{folder}/set")
        pl.DataFrame(rows, infer_schema_length=None).write_parquet(f"{folder}/b.parquet")
        for name in ("a.parquet", "b.parquet", "set"):
            records = list(read_records(f"{folder}/{name}"))
            assert [record.value for record in records] == rows
            missing = {"calls.arguments.city" for o in objects if "city" not in o and any("city" in p for p in objects)}
            assert missing <= {path for record in records for path in record.nulls}


def test_folders_of_the_datasets_library(tmp_path):
    import datasets

    rows = datasets.Dataset.from_list(ROWS)
    rows.save_to_disk(str(tmp_path / "one"))
    datasets.DatasetDict({"train": rows.select([0]), "test": rows.select([1, 2])}).save_to_disk(str(tmp_path / "two"))
    (tmp_path / "hub" / "data").mkdir(parents=True)
    rows.to_parquet(str(tmp_path / "hub" / "data" / "train-00000-of-00001.parquet"))
    assert [r.value for r in read_records(str(tmp_path / "one"))] == ROWS
    assert [r.value for r in read_records(str(tmp_path / "two"), split="test")] == ROWS[1:]
    assert [r.value for r in read_records(str(tmp_path / "hub"))] == ROWS
    with pytest.raises(UserError, match="has no split 'dev', only test, train"):
        list(read_records(str(tmp_path / "two"), split="dev"))
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="not a folder that Hugging Face `datasets` can load"):
        list(read_records(str(tmp_path / "none")))
