"""Overlap with evaluation suites: runs of words, short items within texts, what is put around a question."""

import random

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.text.benchmark_items import Item
from holdfast.text.contamination import hits

LONG = "A train leaves the station at noon and travels north for three hours at sixty miles per hour"
SHORT = "What happens if you eat watermelon seeds?"
TINY = "Capital of Peru?"


def found(texts: list[str], items: list[Item], ngram: int = 8) -> list[dict[str, object]]:
    rows = pl.DataFrame(
        {"id": [str(k) for k in range(len(texts))], "text": texts}, schema_overrides={"text": pl.String}
    )
    return hits(rows, items, ngram).to_dicts()


def kinds(text: str, *items: str) -> list[object]:
    return [row["kind"] for row in found([text], [Item("suite", str(k), item) for k, item in enumerate(items)])]


def test_a_run_of_words_is_a_hit_with_its_span() -> None:
    rows = found(
        ["Riddle: a TRAIN leaves the station, at noon and travels south!", "a train leaves"], [Item("math", "m1", LONG)]
    )
    assert rows == [
        {
            "id": "0",
            "suite": "math",
            "item_id": "m1",
            "items": 1,
            "kind": "ngram",
            "span": "a train leaves the station at noon and travels",
        }
    ]


@pytest.mark.parametrize("item", [LONG, SHORT, TINY, "What is 3 + 4?", "12 * 34 + 5", "7", "日本の首都は？"])
@pytest.mark.parametrize(
    "variant",
    [
        "{}",
        "{} ?",
        "  {}\n",
        "Question: {} Answer:",
        "Question: {}\nAnswer:",
        "Q: {}\nA:",
        "Please solve: {}",
        "Please answer the following question:\n{}",
        "«{}» …",
    ],
)
def test_what_is_put_around_an_item_hides_nothing(item: str, variant: str) -> None:
    spellings = (item, item.upper(), item.lower(), item.replace(" ", "  "), item.replace(" ", "\n"), item.rstrip("?"))
    framed = [variant.format(text) for text in spellings]
    within = found(framed, [Item("suite", "i", item)])
    assert [(row["id"], row["kind"] in ("exact", "whole")) for row in within] == [(str(k), True) for k in range(6)]
    as_items = found([item], [Item(f"suite {k}", "i", text) for k, text in enumerate(framed)])
    assert [(row["suite"], row["kind"]) for row in as_items] == [(f"suite {k}", "exact") for k in range(6)]


def test_a_short_item_is_found_within_a_longer_text() -> None:
    text = f"My son did something silly yesterday. {SHORT} I am a little worried."
    assert found([text], [Item("truth", "t1", SHORT)]) == [
        {
            "id": "0",
            "suite": "truth",
            "item_id": "t1",
            "items": 1,
            "kind": "whole",
            "span": "what happens if you eat watermelon seeds",
        }
    ]
    assert kinds(f"Tell me about the {TINY} And then about its food", TINY) == []  # such words are everywhere
    assert kinds("What happens if you eat apple seeds?", SHORT) == []


def test_scripts_without_spaces_need_as_much_as_others() -> None:
    assert kinds("我很好奇，你叫什么名字，今年多大了？", "你叫什么名字") == []
    assert kinds("我很好奇，什么植物的叶子是红色的，为什么？", "什么植物的叶子是红色的") == ["whole"]


@pytest.mark.parametrize("numbers", ["1 2 3 4 5", "2, 4, 6, 8, 10, 12, 14, 16, 18", "3 + 4 * 5 - 6 / 7 + 8"])
def test_numbers_only_are_a_hit_only_as_the_whole_text(numbers: str) -> None:
    assert kinds(f"Sort these for me please: {numbers} and tell me why", numbers) == []
    assert kinds(f"Sort these: {numbers}", f"What comes after {numbers} in this row?") == []
    assert kinds(numbers, numbers) == ["exact"]


def test_what_many_items_share_is_no_item() -> None:
    frame = "Which of the following statements about the word is true in general:"
    items = [Item("words", str(k), f"{frame} w{k}") for k in range(30)]
    assert found([f"{frame} mine"], items) == []
    assert [row["item_id"] for row in found([f"{frame} w7"], items)] == ["7"]
    twice = [Item("choices", str(k), "Which of these statements is true?") for k in range(2)]
    assert found(["I wonder: which of these statements is true? I think none."], twice) == []
    assert len(found(["Which of these statements is true?"], twice)) == 1


def test_the_longest_span_is_recorded_and_the_others_counted() -> None:
    words = LONG.split()
    items = [Item("a", "short", " ".join(words[:9])), Item("a", "long", " ".join(words[:12])), Item("b", "same", LONG)]
    rows = found([LONG], items)
    assert [(row["suite"], row["item_id"], row["items"], row["kind"]) for row in rows] == [
        ("a", "long", 2, "whole"),
        ("b", "same", 1, "exact"),
    ]
    assert rows[1]["span"] == " ".join(words).lower()


def test_the_turns_of_a_conversation_are_one_row() -> None:
    turns = pl.DataFrame({"id": ["x", "y", "x", "x"], "text": [SHORT, "Hello", LONG, "And you?"]})
    rows = hits(turns, [Item("s", "short", SHORT), Item("s", "long", LONG)], 8)
    assert rows.select("id", "item_id").rows() == [("x", "long")]


def test_no_items_no_texts() -> None:
    assert found(["x"], []) == []
    assert found([], [Item("s", "1", "x")]) == []
    assert found(["", "?!"], [Item("s", "1", ""), Item("s", "2", "…")]) == []


TEXT = st.lists(st.sampled_from([*"abcdefgh12+?你"]), max_size=14).map(" ".join)


@given(st.lists(TEXT, min_size=1, max_size=4), st.lists(TEXT, min_size=1, max_size=4), st.integers(2, 9))
def test_hits_are_what_the_definition_says(texts: list[str], items: list[str], ngram: int) -> None:
    """Against the plain way; items are distinct, and too few for common phrasing."""
    items = sorted({" ".join(item.replace("?", "").split()) for item in items} - {""})

    def plain(text: str, item: str) -> bool:
        own, other = text.replace("?", "").split(), item.split()
        size = sum(0.5 if word == "你" else 1 for word in other)
        length = ngram if len(other) >= ngram else len(other) if size >= 5 else 0
        runs = [other[k : k + length] for k in range(len(other) - length + 1)] if length else []
        lettered = [run for run in runs if any(word.isalpha() for word in run)]
        if not lettered:
            return own == other
        return any(own[k : k + length] == run for run in lettered for k in range(len(own)))

    wanted = {(str(row), str(k)) for row, text in enumerate(texts) for k, item in enumerate(items) if plain(text, item)}
    rows = found(texts, [Item(str(k), "1", item) for k, item in enumerate(items)], ngram)
    assert {(row["id"], row["suite"]) for row in rows} == wanted


def test_many_rows_are_as_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(1)
    texts = [" ".join(chance.choices("abcdefgh", k=12)) for _ in range(600)]
    items = [Item("s", str(k), " ".join(chance.choices("abcdefgh", k=5))) for k in range(200)]
    once = found(texts, items)
    monkeypatch.setattr("holdfast.text.contamination._ROWS_AT_ONCE", 7)
    assert found(texts, items) == once
    assert len(once) > 10
