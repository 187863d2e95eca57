"""Reading suites and grading answers."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdfast.common.errors import UserError
from holdfast.steps.evaluate.suites import Item, chosen_answer, grade, load_items, normalise, question


def write(path: Path, *rows: Any) -> str:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return str(path)


def item(*answers: str, choices: tuple[str, ...] = ()) -> Item:
    return Item("i", "t", None, (("user", "?"),), answers, choices)


def test_items_are_read_by_id_whatever_their_order(tmp_path: Path) -> None:
    rows = [
        {"item_id": "b", "task": "sums", "prompt": "2 + 2?", "answer": ["4", "four"]},
        {
            "item_id": "a",
            "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
            "answer": 7,
        },
    ]
    found = load_items(write(tmp_path / "s.jsonl", *rows), "mine", "exact")
    assert [i.item_id for i in found] == ["a", "b"]
    assert found == load_items(write(tmp_path / "r.jsonl", *reversed(rows), ""), "mine", "exact")
    assert found[0] == Item("a", "mine", None, (("system", "s"), ("user", "u")), ("7",), ())
    assert found[1].answers == ("4", "four")
    row = {"prompt": "a", "answer": "x", "choices": ["x", "y"]}
    (shown_plainly,) = load_items(write(tmp_path / "c.jsonl", row), "mine", "exact")
    assert question(shown_plainly) == (("user", "a"),)


@pytest.mark.parametrize("form", ["jsonl", "json", "csv", "parquet"])
def test_a_suite_is_read_in_any_form_of_a_data_file(tmp_path: Path, form: str) -> None:
    rows = [
        {"item_id": "a", "cluster": "p1", "prompt": "Who?", "answer": "Ann"},
        {"item_id": "b", "cluster": None, "prompt": "When?", "answer": "1815"},
    ]
    path, frame = tmp_path / f"suite.{form}", pl.DataFrame(rows)
    if form == "jsonl":
        write(path, *rows)
    elif form == "json":
        path.write_text(json.dumps(rows))
    elif form == "csv":
        frame.select("item_id", "prompt", "answer").write_csv(path)
    else:
        frame.write_parquet(path)
    found = load_items(str(path), "mine", "exact")
    assert [(one.item_id, one.messages[0][1], one.answers) for one in found] == [
        ("a", "Who?", ("Ann",)),
        ("b", "When?", ("1815",)),
    ]
    assert [one.cluster for one in found] == [None if form == "csv" else "p1", None]


def test_an_item_without_an_id_gets_one_from_its_content(tmp_path: Path) -> None:
    one, two = {"prompt": "a", "answer": "b"}, {"prompt": "a", "answer": "c"}
    first = load_items(write(tmp_path / "s.jsonl", one, two), "mine", "exact")
    second = load_items(write(tmp_path / "t.jsonl", two), "mine", "exact")
    assert len({i.item_id for i in first}) == 2
    assert second[0] in first


@pytest.mark.parametrize(
    ("kind", "row", "said"),
    [
        ("exact", "{", "not JSON"),
        ("exact", "[]", "an object is expected"),
        ("exact", {"answer": "a"}, "either prompt or messages"),
        ("exact", {"prompt": "a", "messages": [], "answer": "a"}, "either prompt or messages"),
        ("exact", {"prompt": " ", "answer": "a"}, "prompt is ' '"),
        ("exact", {"prompt": "a"}, "answer"),
        ("exact", {"prompt": "a", "answer": []}, "at least one right answer"),
        ("exact", {"prompt": "a", "answer": {"x": 1}}, "a text or a list of texts"),
        ("exact", {"prompt": "a", "answer": "b", "item_id": ""}, "item_id is ''"),
        ("exact", {"prompt": "a", "answer": "b", "task": 1.5}, "task is 1.5"),
        ("exact", {"prompt": "a", "answer": "b", "cluster": ["x"]}, "cluster is ['x']"),
        ("exact", {"messages": [{"role": "robot", "content": "a"}], "answer": "b"}, "a message needs a role"),
        ("exact", {"messages": [{"role": "assistant", "content": "a"}], "answer": "b"}, "must have the role user"),
        ("regex", {"prompt": "a", "answer": "(("}, "not a regular expression"),
        ("multiple_choice", {"prompt": "a", "answer": "b"}, "2 to 26 choices"),
        ("multiple_choice", {"prompt": "a", "choices": ["x", "y"], "answer": "z"}, "0 to 1, a letter"),
        ("multiple_choice", {"prompt": "a", "choices": ["x", "y"], "answer": 2}, "0 to 1, a letter"),
    ],
)
def test_a_bad_item_is_named_with_its_line(tmp_path: Path, kind: str, row: Any, said: str) -> None:
    good = {"prompt": "ok", "answer": "x", "choices": ["x", "y"]}
    path = write(tmp_path / "s.jsonl", good, row)
    with pytest.raises(UserError, match=r"s\.jsonl line 2: .*") as error:
        load_items(path, "mine", kind)
    assert said in str(error.value)


def test_bad_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"evaluate\.suites\.mine\.path"):
        load_items(str(tmp_path / "none.jsonl"), "mine", "exact")
    with pytest.raises(UserError, match="is empty"):
        load_items(write(tmp_path / "empty.jsonl"), "mine", "exact")
    (tmp_path / "latin.jsonl").write_bytes(b'{"prompt": "\xe9"}')
    with pytest.raises(UserError, match="line 1: not UTF-8"):
        load_items(str(tmp_path / "latin.jsonl"), "mine", "exact")
    twice = {"item_id": "a", "prompt": "a", "answer": "b"}
    with pytest.raises(UserError, match="line 2: item_id 'a' occurs twice"):
        load_items(write(tmp_path / "twice.jsonl", twice, twice), "mine", "exact")


@pytest.mark.parametrize(
    ("kind", "answers", "answer", "right"),
    [
        ("exact", ["Paris"], " Paris\n", True),
        ("exact", ["Paris"], "paris", False),
        ("exact", ["Paris", "Lutetia"], "Lutetia", True),
        ("normalised", ["The  cat, sat."], "cat sat", True),
        ("normalised", ["U.S."], "us", True),
        ("normalised", ["A."], "a", True),
        ("normalised", ["A."], "", False),
        ("normalised", ["-5"], "5", False),
        ("normalised", ["\N{MINUS SIGN}5"], "-5.", True),
        ("normalised", ["3.14"], "314", False),
        ("normalised", ["a-b"], "ab", True),
        ("regex", [r"\b42\b"], "It is 42, surely", True),
        ("regex", [r"^42$"], "It is 42", False),
    ],
)
def test_grades(kind: str, answers: list[str], answer: str, right: bool) -> None:
    assert grade(kind, item(*answers), answer) is right


def test_a_pattern_that_never_ends_is_an_error_not_a_hang() -> None:
    with pytest.raises(UserError, match="simplify it"):
        grade("regex", item(r"^(a|a)*$"), "a" * 60 + "b")


@given(st.text())
@example("C:\N{COMBINING CEDILLA}")
@example("A.")
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


def test_multiple_choice_is_shown_with_letters_and_read_by_likelihood_or_letter() -> None:
    asked = item("y", choices=("x", "y", "z"))
    assert question(asked) == (("user", "?\nA. x\nB. y\nC. z\nAnswer with one letter."),)
    assert chosen_answer(asked, [-3.0, -0.5, -2.0], "C") == "y"
    assert chosen_answer(asked, None, "I say (C), as A is wrong") == "z"
    assert chosen_answer(asked, None, "no idea") == ""
