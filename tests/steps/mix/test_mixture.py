"""Shares, draws and splits of a mixture: invariants that hold for any sources."""

import math

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.common.errors import UserError
from holdfast.common.ids import row_id
from holdfast.common.run_names import arm_and_seed, run_names
from holdfast.steps.mix.mixture import allocate, draw, drop_duplicates, shuffled
from holdfast.steps.mix.params import Arm

SIZES = {"domain": 17, "rehearsal": 200, "public": 60}


def pool(sizes=None, tokens=lambda i: 10 + i % 7):
    rows = [
        {
            "source": source,
            "slice": "math" if i % 4 == 0 else "chat",
            "row_id": row_id(source, i),
            "prompt_key": f"{source} {i // 2}",  # two answers per prompt
            "tokens": tokens(i),
        }
        for source, n in (sizes or SIZES).items()
        for i in range(n)
    ]
    return pl.DataFrame(rows)


def mixed(rows, arm, size_from="domain", validation=0.1, seed=0, slices=None):
    """Allocation -> (training rows, validation rows)."""
    parts = allocate(rows, "test", arm, None if arm.budget else size_from, slices or {})
    return {part: draw(rows, part, arm.unit, validation, seed) for part in parts}


def test_the_whole_source_sets_the_size():
    arm = Arm(sources={"rehearsal": 0.83, "domain": 0.17})
    parts = {s.source: (t, v) for s, (t, v) in mixed(pool(), arm).items()}
    sizes = {source: len(t) + len(v) for source, (t, v) in parts.items()}
    assert sizes == {"domain": 17, "rehearsal": 83}
    for train, val in parts.values():
        assert not set(train["prompt_key"]) & set(val["prompt_key"])
        assert len(val) >= 1


def test_a_shortage_says_by_how_much():
    arm = Arm(sources={"rehearsal": 0.95, "domain": 0.05})
    message = "rehearsal: 323 rows needed for its share of 0.95, 200 available, 123 short"
    with pytest.raises(UserError, match=message):
        allocate(pool(), "test", arm, "domain", {})


def test_repeat_fills_a_shortage_and_shrink_keeps_the_shares():
    shares = {"rehearsal": 0.95, "domain": 0.05}
    repeated = mixed(pool(), Arm(sources=shares, shortage="repeat"))
    train, val = next(parts for s, parts in repeated.items() if s.source == "rehearsal")
    assert len(train) + len(val) == 323
    assert not set(train["row_id"]) & set(val["row_id"])
    counts = train["row_id"].value_counts()["count"]
    assert counts.max() - counts.min() <= 1
    assert not train.select("row_id", "copy").is_duplicated().any()
    shrunk = {s.source: s.size for s in mixed(pool(), Arm(sources=shares, shortage="shrink"))}
    assert shrunk == {"rehearsal": 200, "domain": 10}


def test_slices_share_their_source():
    arm = Arm(sources={"rehearsal": 1.0}, budget=40)
    parts = allocate(pool(), "test", arm, None, {"rehearsal": {"math": 3.0, "chat": 1.0}})
    assert {s.slice: s.size for s in parts} == {"math": 30, "chat": 10}
    train, _ = draw(pool(), parts[0], "rows", 0.0, 0)
    assert set(train["slice"]) == {parts[0].slice}


def test_an_empty_source_is_an_error_of_its_own():
    with pytest.raises(UserError, match="source public has no usable row"):
        allocate(pool({"domain": 3}), "test", Arm(sources={"public": 0.5, "domain": 0.5}), "domain", {})


shares = st.dictionaries(st.sampled_from(sorted(SIZES)), st.floats(0.05, 1.0), min_size=1)


@settings(max_examples=60, deadline=None)
@given(shares, st.sampled_from(["rows", "tokens"]), st.integers(20, 3000), st.sampled_from(["repeat", "shrink"]))
def test_shares_come_out_as_asked(shares, unit, budget, shortage):
    arm = Arm(sources=shares, unit=unit, budget=budget, shortage=shortage)
    parts = mixed(pool(), arm, validation=0.0)
    sizes = {s: (len(t) if unit == "rows" else t["tokens"].sum()) for s, (t, _) in parts.items()}
    slack = 1 if unit == "rows" else 16  # a row is not divisible
    for part, size in sizes.items():
        assert abs(size - part.size) <= (0 if unit == "rows" else slack)
        exact = part.share * sum(s.size for s in parts)
        assert abs(part.size - exact) <= 1 + len(parts)
    total = sum(s.size for s in parts)
    assert total == budget if shortage == "repeat" else total <= budget


@settings(max_examples=30, deadline=None)
@given(st.randoms(), st.integers(0, 5))
def test_the_order_of_the_input_changes_nothing(random, seed):
    rows = pool()
    order = list(range(rows.height))
    random.shuffle(order)
    arm = Arm(sources={"rehearsal": 0.8, "domain": 0.2})
    one, two = (
        shuffled(pl.concat([t for t, _ in mixed(r, arm, seed=seed).values()]), seed) for r in (rows, rows[order])
    )
    assert one.equals(two)


@given(st.integers(1, 100), st.integers(1, 100))
@settings(max_examples=20, deadline=None)
def test_a_smaller_draw_is_part_of_a_larger_one(small, more):
    def drawn(size):
        (parts,) = mixed(pool(), Arm(sources={"rehearsal": 1.0}, budget=size), validation=0.0).values()
        return set(parts[0]["row_id"])

    assert drawn(small) <= drawn(small + more)


def test_another_seed_draws_and_orders_otherwise():
    arm = Arm(sources={"rehearsal": 0.8, "domain": 0.2})
    parts = [pl.concat([t for t, _ in mixed(pool(), arm, seed=seed).values()]) for seed in (0, 1)]
    assert set(parts[0]["row_id"]) != set(parts[1]["row_id"])
    assert shuffled(parts[0], 0)["row_id"].to_list() != shuffled(parts[0], 1)["row_id"].to_list()


def test_duplicates_within_and_across_sources():
    rows = pl.DataFrame(
        {
            "source": ["domain", "domain", "domain", "rehearsal", "rehearsal"],
            "row_id": ["a", "b", "c", "d", "e"],
            "content_key": ["1", "1", "2", "3", "4"],
            "prompt_key": ["p", "p", "p", "p", "q"],
        }
    )
    kept, dropped = drop_duplicates(rows, ["domain", "rehearsal"])
    assert kept["row_id"].to_list() == ["a", "c", "e"]
    assert dict(dropped.select("row_id", "reason").iter_rows()) == {"b": "duplicate", "d": "in_other_source"}
    kept, _ = drop_duplicates(rows, ["rehearsal", "domain"])
    assert kept["row_id"].to_list() == ["d", "e"]


# content "p0 1" has prompt "p0": equal conversations have equal prompts
DUPLICATED = st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 3), st.integers(0, 2)), max_size=30)


@settings(max_examples=200, deadline=None)
@given(DUPLICATED, st.permutations("xyz"), st.integers(0, 1000))
def test_of_equal_conversations_exactly_one_is_kept_in_the_first_source_of_its_prompt(held, precedence, seed):
    rows = pl.DataFrame(
        [(s, row_id(seed, n), f"p{p} {c}", f"p{p}") for n, (s, p, c) in enumerate(held)],
        schema=dict.fromkeys(["source", "row_id", "content_key", "prompt_key"], pl.String),
        orient="row",
    )
    kept, dropped = drop_duplicates(rows, list(precedence))
    assert sorted([*kept["row_id"], *dropped["row_id"]]) == sorted(rows["row_id"])
    assert set(dropped["reason"]) <= {"duplicate", "in_other_source"}
    for (prompt,), same_prompt in rows.group_by("prompt_key"):
        owner = next(source for source in precedence if source in set(same_prompt["source"]))
        here = kept.filter(pl.col("prompt_key") == prompt)
        assert set(here["source"]) == {owner}
        contents = same_prompt.filter(pl.col("source") == owner)["content_key"]
        assert sorted(here["content_key"]) == sorted(set(contents))  # each once, none lost
    whole = rows.filter(pl.col("source") == precedence[0])
    assert len(kept.filter(pl.col("source") == precedence[0])) == whole["content_key"].n_unique()


def test_runs_are_named_for_arm_and_training_seed():
    names = run_names(["domain_only", "rehearsed"], 2)
    assert names == ["domain_only", "domain_only-s1", "rehearsed", "rehearsed-s1"]
    assert [arm_and_seed(name) for name in names[:2]] == [("domain_only", 0), ("domain_only", 1)]
    assert math.prod(seed for _, seed in map(arm_and_seed, names[1::2])) == 1
