"""Sources that are drawn by what a short run on the domain has forgotten of them."""

import math

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.common.probe_table import PROBES
from holdfast.steps.mix.arrangement import by_weight, damage


def probes(**rows):
    """A probe of answers: the probability of a token and the number of tokens by candidate; None for a failed row."""
    table = [
        {"candidate_id": name, "logprob": row and row[1] * math.log(row[0]), "tokens": row and row[1], "error": None}
        for name, row in rows.items()
    ]
    return pl.DataFrame(table, schema=PROBES)


def test_damage_is_the_fall_of_the_probability_of_a_token():
    base = probes(kept=(0.9, 4), lost=(0.9, 8), better=(0.2, 3), never=(0.05, 9), refused=None, missing=(0.9, 1))
    arm = probes(kept=(0.9, 4), lost=(0.3, 8), better=(0.8, 3), never=(0.01, 9), refused=(0.5, 2))
    found = dict(damage(base, arm).iter_rows())
    assert {name: round(value, 9) for name, value in found.items()} == {
        "kept": 0.0, "lost": 0.6, "better": 0.0, "never": 0.04, "refused": 0.0, "missing": 0.0
    }  # fmt: skip


WEIGHTS = st.lists(st.sampled_from([0.0, 0.01, 0.2, 1.0]), min_size=1, max_size=40)


@settings(max_examples=50, deadline=None)
@given(weights=WEIGHTS, seed=st.integers(0, 3))
def test_every_row_is_there_once_whatever_their_order_and_those_without_damage_come_last(weights, seed):
    rows = pl.DataFrame({"row_id": [f"r{n}" for n in range(len(weights))]})
    table = rows.with_columns(weight=pl.Series(weights))
    order = by_weight(rows, table, seed)["row_id"].to_list()
    assert sorted(order) == sorted(rows["row_id"])
    known = dict(table.iter_rows())
    zeros = [known[name] == 0 for name in order]
    assert zeros == sorted(zeros)
    shuffled = rows.sample(fraction=1, shuffle=True, seed=1)
    heavy = [name for name in order if known[name]]
    assert [name for name in by_weight(shuffled, table, seed)["row_id"] if known[name]] == heavy


@settings(max_examples=30, deadline=None)
@given(weights=WEIGHTS, seed=st.integers(0, 3))
def test_a_row_s_place_among_others_does_not_depend_on_a_third(weights, seed):
    rows = pl.DataFrame({"row_id": [f"r{n}" for n in range(len(weights))]})
    table = rows.with_columns(weight=pl.Series(weights))
    order = by_weight(rows, table, seed)["row_id"].to_list()
    fewer = rows.filter(pl.col("row_id") != order[0])
    assert by_weight(fewer, table, seed)["row_id"].to_list() == order[1:]


def test_rows_are_drawn_in_proportion_to_their_weights():
    rows = pl.DataFrame({"row_id": [f"r{n}" for n in range(4000)]})
    table = rows.with_columns(weight=pl.when(pl.int_range(4000) < 1000).then(0.9).otherwise(0.1))
    drawn = by_weight(rows, table, 0).head(200)["row_id"]
    heavy = sum(int(name[1:]) < 1000 for name in drawn)
    assert 0.65 < heavy / 200 < 0.85  # 1000 * 0.9 of 1200
