"""Files of every form give their rows with their places; a file that cannot be read says why."""

import csv
import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.common.data_files import read_records
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
    assert [record.value for record in found] == [{"question": q, "answer": a} for q, a in rows]
    assert [record.place for record in found] == places[1:]


def test_a_byte_order_mark_and_blank_lines_are_no_fault(tmp_path):
    text = "\ufeff" + "\r\n\r\n".join(json.dumps(row) for row in ROWS)
    (tmp_path / "a.jsonl").write_text(text, encoding="utf-8")
    assert [record.value for record in read_records(str(tmp_path / "a.jsonl"))] == ROWS


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
