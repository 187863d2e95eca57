"""Near-duplicates: what is found, what stays, and that order does not matter."""

import itertools
import random
import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.steps.clean.near_duplicates import bands, duplicates_of
from holdfast.text.words import distinct, grams, words
from labelled_pairs import FRAMES, REWRITES, family


def threes(text: str) -> set[tuple[str, ...]]:
    """The sets that are compared, the plain way."""
    found = re.findall(r"\w+", text.lower())
    return {tuple(found[k : k + 3]) for k in range(max(len(found) - 2, 1))}


def jaccard(one: str, other: str) -> float:
    a, b = threes(one), threes(other)
    return len(a & b) / len(a | b)


def planted(rows: int, edits: int) -> tuple[list[str], list[tuple[int, int]]]:
    chance = random.Random(3)
    vocabulary = ["".join(chance.choices("bdfgklmnprt", k=6)) for _ in range(5000)]
    light = ["the", "please", "now", "really", "this", "could", "you"]
    found = [" ".join(chance.choices(vocabulary, k=chance.randint(10, 60))) for _ in range(rows)]
    pairs = []
    for _ in range(edits):
        source = chance.randrange(rows)
        text = found[source].split()
        for _ in range(chance.randint(1, 4)):
            text.insert(chance.randrange(len(text)), chance.choice(light))
        pairs.append((source, len(found)))
        found.append(" ".join(text))
    return found, pairs


def test_recall_and_precision_on_planted_pairs() -> None:
    found, pairs = planted(4000, 2000)
    kept, value = duplicates_of(pl.Series(found), np.arange(len(found)), 0.8, 3, 128)
    near = [(a, b) for a, b in pairs if jaccard(found[a], found[b]) >= 0.8]
    assert len(near) > 300
    assert np.mean([kept[a] >= 0 or kept[b] >= 0 for a, b in near]) >= 0.99
    for row in np.flatnonzero(kept >= 0).tolist():
        assert jaccard(found[row], found[kept[row]]) == pytest.approx(value[row])
        assert value[row] >= 0.8
        assert kept[kept[row]] == -1, "the row that stands for others is itself kept"


def test_row_order_changes_nothing() -> None:
    found, _ = planted(500, 500)
    rank = np.random.default_rng(0).permutation(len(found))
    kept, _ = duplicates_of(pl.Series(found), rank, 0.7, 3, 128)
    shuffle = np.random.default_rng(1).permutation(len(found))
    again, _ = duplicates_of(pl.Series(found).gather(shuffle), rank[shuffle], 0.7, 3, 128)
    back = np.full(len(found), -1)
    back[shuffle] = np.where(again >= 0, shuffle[again], -1)
    assert (kept == back).all()
    assert (kept >= 0).sum() > 100


def test_the_first_by_rank_stays() -> None:
    texts = pl.Series(["one two three four five six seven"] * 5)
    kept, value = duplicates_of(texts, np.array([4, 3, 0, 1, 2]), 0.8, 3, 128)
    assert kept.tolist() == [2, 2, -1, 2, 2]
    assert value.tolist() == [1, 1, 0, 1, 1]


def test_a_large_cluster_leaves_one_row() -> None:
    light = ["please", "now", "really", "just", "also", "well", "currently", "kindly", "so", "here", "quite", "very"]
    ends = (" ".join(end) for end in itertools.product(light, repeat=4))
    text = "tell me all that happened in the old city of Rome after the fall of the empire in the west"
    texts = pl.Series([f"{text} {end}" for end in itertools.islice(ends, 3000)])
    kept, _ = duplicates_of(texts, np.arange(3000), 0.7, 3, 128)
    assert (kept == -1).sum() == 1


def test_short_texts_with_another_number_are_not_near() -> None:
    texts = pl.Series([f"What is {a} + {b}?" for a in range(10) for b in range(10)] + ["what is 3 + 4", "???", ""])
    kept, _ = duplicates_of(texts, np.arange(len(texts)), 0.8, 3, 128)
    assert np.flatnonzero(kept >= 0).tolist() == [100]


@pytest.mark.parametrize("name", FRAMES)
def test_different_tasks_in_one_frame_stay_and_rewritten_ones_go(name: str) -> None:
    chance = random.Random(0)
    tasks = family(name, 200, chance)
    rewritten = [
        (kind, k, REWRITES[kind](tasks[k], chance)) for kind in REWRITES for k in chance.sample(range(200), 20)
    ]
    kept, _ = duplicates_of(pl.Series([*tasks, *(text for *_, text in rewritten)]), np.arange(300), 0.8, 3, 128)
    assert (kept[:200] >= 0).sum() <= 1
    for row, (kind, of, text) in enumerate(rewritten, 200):
        assert kept[row] in (of, -1) or kept[row] >= 200, text
        if kind in ("punctuation and case", "politeness") and jaccard(tasks[of], text) >= 0.85:
            assert kept[row] >= 0, text
    assert (kept[200:] >= 0).mean() >= 0.8


DIFFERENT = [
    ("and costs 3 dollars a piece", "and costs 4 dollars a piece"),
    ("so that 3 - 4 is the answer", "so that 4 - 3 is the answer"),
    ("so that 3 + 4 is the answer", "so that 3 * 4 is the answer"),
    ("and never leaves", "and leaves"),
    ("and comes from London", "and comes to London"),
    ("and was born in Iran", "and was born in Iraq"),
]
ALIKE = [
    ("and costs 3 dollars a piece", "and costs 3 dollar a piece"),
    ("in a well-known state-of-the-art house", "in a well known state of the art house"),
    ("with hypoglycaemia", "with hypoglycemia"),
    ("and you tell me about the colour", "and you tell me regarding this colour please"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT + ALIKE)
def test_the_words_that_differ_decide(one: str, other: str) -> None:
    frame = (
        "Write a short and funny letter to an old friend who lives far away, in which you tell of a tall man who walks"
        " his small dog along the river each morning, meets many people there, {}"
    )
    texts = pl.Series([frame.format(one), frame.format(other)])
    kept, _ = duplicates_of(texts, np.arange(2), 0.6, 3, 128)
    assert kept[1] == (0 if (one, other) in ALIKE else -1)


def test_a_word_misspelt_once_is_the_usual_one_and_another_usual_word_is_not() -> None:
    frame = "Write a short and funny letter to an old friend in which you tell of the {} that was seen by the river"
    texts = [frame.format(word) for word in ("horse", "house", "hosre")]
    texts += [f"The {word} number {k}" for word in ("horse", "house") for k in range(9)]
    kept, _ = duplicates_of(pl.Series(texts), np.arange(len(texts)), 0.6, 3, 128)
    assert kept[:3].tolist() == [-1, -1, 0]


def test_nothing_in_nothing_out() -> None:
    kept, value = duplicates_of(pl.Series([], dtype=pl.String), np.arange(0), 0.8, 3, 128)
    assert len(kept) == len(value) == 0


@given(st.floats(0.05, 1.0), st.integers(16, 512))
@settings(max_examples=50, deadline=None)
def test_bands_fit_and_find(threshold: float, permutations: int) -> None:
    count, rows = bands(threshold, permutations)
    assert 1 <= count * rows <= permutations
    assert rows == 1 or 1 - (1 - threshold**rows) ** count >= 0.99


TEXTS = st.lists(st.text(st.sampled_from("ab 你好9+?\n"), max_size=12), min_size=1, max_size=8)


@given(TEXTS, st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_grams_are_windows_of_words(texts: list[str], n: int) -> None:
    lists = words(pl.Series(texts, dtype=pl.String))
    found = grams(lists, n)
    by_hash: dict[int, tuple[str, ...]] = {}
    for row, text in enumerate(lists.to_list()):
        windows = [tuple(text[k : k + n]) for k in range(len(text) - n + 1)] or ([tuple(text)] if text else [])
        own = found.hashes[found.offsets[row] : found.offsets[row + 1]].tolist()
        assert len(own) == len(windows)
        for value, window in zip(own, windows, strict=True):
            assert by_hash.setdefault(value, window) == window
    once = distinct(found)
    for row in range(len(texts)):
        own = found.hashes[found.offsets[row] : found.offsets[row + 1]]
        assert once.hashes[once.offsets[row] : once.offsets[row + 1]].tolist() == sorted(set(own.tolist()))


def test_words_keep_symbols_and_split_unspaced_scripts() -> None:
    assert words(pl.Series(["What is 3 + 4?", "ＯＫ, 你好！"])).to_list() == [
        ["what", "is", "3", "+", "4"],
        ["ok", "你", "好"],
    ]
