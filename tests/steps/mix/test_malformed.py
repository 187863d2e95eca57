"""Files and arms that cannot be mixed: every fault is named with its row."""

import json
from pathlib import Path

import polars as pl
import pytest

from holdfast.common.errors import UserError
from mixing import GOOD, write_lines


def test_bad_rows_within_the_allowed_share_are_set_aside(project):
    with Path("domain.jsonl").open("a") as file:
        file.write('{"question": "cut off", "ans')
    train = project(mixing={"max_bad_share": 0.03})
    assert len(train) > 150
    bad = pl.read_parquet("out/rejected.parquet").filter(pl.col("reason") == "malformed").row(0, named=True)
    assert bad["origin"] == "domain.jsonl line 41"
    assert bad["detail"] == "not JSON: Unterminated string starting at at column 25 (the line ends early)"
    assert bad["text"] == '{"question": "cut off", "ans'


MALFORMED = {
    "empty.jsonl": (b"", "empty.jsonl: is empty"),
    "blank.jsonl": (b"\n\n  \n", "blank.jsonl: is empty"),
    "cut.jsonl": (
        b'{"question": "a", "answer": "b"}\n{"question": "c',
        "cut.jsonl line 2: not JSON: Unterminated string",
    ),
    "comma.jsonl": (
        b'{"question": "a" "answer": "b"}\n',
        "comma.jsonl line 1: not JSON: Expecting ',' delimiter at column 18",
    ),
    "nan.jsonl": (b'{"question": "a", "answer": NaN}\n', "nan.jsonl line 1: not JSON: NaN is not a JSON number"),
    "list.jsonl": (b"[1, 2]\n[3]\n", "list.jsonl line 1: an object is expected, found a list"),
    "latin.jsonl": (
        '{"question": "a", "answer": "ä"}\n'.encode("latin-1"),
        "latin.jsonl line 1: not UTF-8: byte 0xe4 at byte 30",
    ),
    "utf16.jsonl": ('{"question": "a"}'.encode("utf-16"), "utf16.jsonl: is UTF-16; save it as UTF-8"),
    "zip.jsonl": (b"\x1f\x8b\x08\x00", "zip.jsonl: is a gzip file; unpack"),
    "sheet.csv": (b"PK\x03\x04 xlsx", "sheet.csv: is a zip or Excel file"),
    "noanswer.jsonl": (
        json.dumps({"question": "a", "answer": None}).encode(),
        "noanswer.jsonl line 1: 'answer' is missing",
    ),
    "number.jsonl": (
        json.dumps({"question": "a", "answer": 42}).encode(),
        "number.jsonl line 1: answer is 42, a text is expected",
    ),
    "shape.jsonl": (json.dumps({"text": "a"}).encode(), "shape.jsonl line 1: its columns (text) match no known shape"),
    "mixed.jsonl": (
        (json.dumps(GOOD) + "\n" + json.dumps({"messages": []})).encode(),
        "mixed.jsonl line 2: 'question' is missing",
    ),
    "user_last.jsonl": (
        json.dumps({"messages": [{"role": "user", "content": "a"}]}).encode(),
        "user_last.jsonl line 1: the last message is the user's",
    ),
    "role.jsonl": (
        json.dumps({"messages": [{"role": "narrator", "content": "a"}]}).encode(),
        "role.jsonl line 1: message 1: unknown role 'narrator'",
    ),
    "cut.json": (b'[\n{"question": "a", "answer": "b"},\n{"question"', "cut.json line 3: not JSON"),
    "text.json": (b'"just text"', "text.json: a list of objects is expected, found a text"),
    "nolist.json": (b"[]", "nolist.json: is an empty list"),
    "quote.csv": (
        b'question,answer\na,"b\nc,d\n',
        "quote.csv line 2: not CSV: unexpected end of data (a quote that is not closed?)",
    ),
    "fields.csv": (b"question,answer\na,b\nc,d,e\n", "fields.csv line 3: 3 fields, but the header has 2"),
    "twice.csv": (b"question,question\na,b\n", "twice.csv line 1: column 'question' occurs twice"),
    "head.csv": (b"question,answer\n", "head.csv: holds no rows"),
    "blanks.csv": (b"question,answer\na, \n", "blanks.csv line 2: message 2 (assistant) is empty"),
    "cut.parquet": (b"PAR1 and no more", "cut.parquet: not a readable Parquet file"),
    "unknown.bin": (b"\x00\x01\x02", "unknown.bin: neither JSONL, JSON, CSV nor Parquet"),
    "missing.jsonl": (None, "missing.jsonl: cannot be read: No such file or directory"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_files_are_refused_with_their_fault(project, name):
    content, message = MALFORMED[name]
    if content is not None:
        Path(name).write_bytes(content)
    with pytest.raises(UserError) as error:
        project({"domain": {"path": name}})
    assert message in str(error.value)
    assert not Path("out").exists()


def test_all_faults_of_a_file_are_listed(project):
    write_lines("domain.jsonl", [GOOD, *({"question": f"q{i}"} for i in range(30))])
    with pytest.raises(UserError) as error:
        project()
    assert str(error.value).startswith("domain.jsonl: 30 of 31 rows are malformed, mix.max_bad_share is 0.01")
    assert "domain.jsonl line 2: 'answer' is missing (30 rows: lines 2-31)" in str(error.value)


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ({"sources": {"rehearsal": 0.5, "other": 0.5}}, "nothing sets its size: it has no source 'domain'"),
        ({"sources": {"domain": 1.0}, "budget": 5, "size_from": "domain"}, "budget and size_from both set the size"),
        ({"sources": {"domain": 0.0}}, "the share of domain must be above 0"),
        (
            {"sources": {"rehearsal": 0.99, "domain": 0.01}},
            "3861 rows needed for its share of 0.99, 300 available, 3561 short",
        ),
    ],
)
def test_an_arm_that_cannot_be_mixed(project, arm, message):
    sources = {"domain": {"path": "domain.jsonl"}, "other": {"path": "domain.jsonl"}}
    with pytest.raises(UserError, match=message):
        project(sources, arm)
    assert not Path("out").exists()
