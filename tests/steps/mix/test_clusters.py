"""Sources that are drawn evenly over clusters of questions."""

from collections import Counter
from functools import partial

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from holdfast.steps.mix.arrangement import in_turn
from holdfast.steps.mix.clusters import cluster
from holdfast.steps.mix.mixture import Allocation, draw

THEMES = {
    "sums": "What is {} plus {}?",
    "rivers": "Through which towns does the river number {} flow after mile {}?",
    "poems": "Write a short poem about {} birds and {} trees.",
}


def table(sizes):
    """Rows with `sizes` many questions of each theme."""
    rows = [
        {"row_id": f"{theme}-{n}", "questions": [THEMES[theme].format(n, 7 * n % 11)]}
        for theme, size in sizes.items()
        for n in range(size)
    ]
    return pl.DataFrame(rows, schema={"row_id": pl.String, "questions": pl.List(pl.String)})


def pool_of(sizes):
    """Rows of `sizes` many rows in each cluster as `draw` takes them, and their clusters."""
    rows = [
        {"source": "s", "slice": None, "row_id": f"{c}-{n}", "prompt_key": f"{c}-{n}", "tokens": 1 + (c + n) % 7}
        for c, size in enumerate(sizes)
        for n in range(size)
    ]
    pool = pl.DataFrame(rows, schema_overrides={"slice": pl.String})
    return pool, pool.select("row_id", cluster=pl.col("row_id").str.extract(r"(\d+)-").cast(pl.Int64))


def drawn(pool, clusters, size, unit="rows", seed=0):
    available = pool.height if unit == "rows" else int(pool["tokens"].sum())
    arranged = None if clusters is None else partial(in_turn, clusters=clusters)
    return draw(pool, Allocation("s", None, 1.0, available, size), unit, 0.0, seed, arranged)[0]


def test_no_cluster_mixes_questions_of_two_kinds():
    rows = table({"sums": 60, "rivers": 30, "poems": 10})
    found = cluster(rows, 10, 0).with_columns(theme=pl.col("row_id").str.extract("([a-z]+)"))
    assert found.group_by("cluster").agg(pl.col("theme").n_unique())["theme"].max() == 1


@settings(max_examples=15, deadline=None)
@given(sums=st.integers(1, 40), rivers=st.integers(0, 40), count=st.integers(2, 60), seed=st.integers(0, 3))
def test_every_row_has_one_cluster_whatever_the_order_of_rows(sums, rivers, count, seed):
    rows = table({"sums": sums, "rivers": rivers})
    found = cluster(rows, count, seed).sort("row_id")
    assert found["row_id"].to_list() == sorted(rows["row_id"])
    assert found["cluster"].n_unique() == found["cluster"].max() + 1 <= count + 1
    shuffled = rows.sample(fraction=1, shuffle=True, seed=seed)
    assert_frame_equal(found, cluster(shuffled, count, seed).sort("row_id"))


def test_rows_without_words_in_common_are_a_cluster_by_themselves():
    rows = pl.DataFrame({"row_id": ["a", "b", "c"], "questions": [["one"], [""], ["two", "three"]]})
    assert cluster(rows, 5, 0)["cluster"].to_list() == [0, 0, 0]


SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=6)


@settings(max_examples=50, deadline=None)
@given(sizes=SIZES, size=st.integers(1, 100), seed=st.integers(0, 3))
def test_every_cluster_gives_as_many_rows_as_far_as_it_has_them(sizes, size, seed):
    pool, clusters = pool_of(sizes)
    size = min(size, pool.height)
    found = Counter(row.split("-")[0] for row in drawn(pool, clusters, size, seed=seed)["row_id"])
    assert sum(found.values()) == size
    for c, available in enumerate(sizes):
        assert found[str(c)] == available or found[str(c)] >= max(found.values()) - 1


@settings(max_examples=50, deadline=None)
@given(sizes=SIZES, data=st.data(), unit=st.sampled_from(["rows", "tokens"]), seed=st.integers(0, 3))
def test_a_smaller_draw_is_a_subset_of_a_larger_one(sizes, data, unit, seed):
    pool, clusters = pool_of(sizes)
    most = pool.height if unit == "rows" else int(pool["tokens"].sum())
    more = data.draw(st.integers(1, most))
    fewer = data.draw(st.integers(1, more))
    some, many = (set(drawn(pool, clusters, size, unit, seed)["row_id"]) for size in (fewer, more))
    assert some <= many


@settings(max_examples=30, deadline=None)
@given(sizes=SIZES, seed=st.integers(0, 3))
def test_within_a_cluster_rows_come_as_without_clusters_whatever_their_order(sizes, seed):
    pool, clusters = pool_of(sizes)
    plain, evenly = (drawn(pool, c, pool.height, seed=seed)["row_id"].to_list() for c in (None, clusters))
    for c in range(len(sizes)):
        assert [r for r in plain if r.startswith(f"{c}-")] == [r for r in evenly if r.startswith(f"{c}-")]
    shuffled = pool.sample(fraction=1, shuffle=True, seed=1)
    assert drawn(shuffled, clusters, pool.height, seed=seed)["row_id"].to_list() == evenly
