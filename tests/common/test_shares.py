"""A total split into whole numbers."""

import math

from hypothesis import given
from hypothesis import strategies as st

from holdfast.common.shares import largest_remainders, shares

weights = st.dictionaries(st.text("abcxyz", min_size=1, max_size=3), st.floats(0.01, 100), min_size=1, max_size=8)


@given(weights, st.integers(0, 10_000))
def test_shares_add_up_and_are_rounded_up_or_down(parts, total):
    found = shares(parts, total)
    assert sum(found.values()) == total
    whole = math.fsum(parts.values())
    assert all(abs(found[key] - total * weight / whole) < 1 + 1e-6 for key, weight in parts.items())


@given(weights, st.integers(0, 10_000), st.randoms())
def test_the_order_of_the_weights_changes_nothing(parts, total, random):
    keys = list(parts)
    random.shuffle(keys)
    assert shares({key: parts[key] for key in keys}, total) == shares(parts, total)


def test_the_largest_remainders_are_rounded_up_and_of_equal_ones_the_smaller_key():
    assert largest_remainders({"a": 1.2, "b": 2.9, "c": 0.9}) == {"a": 1, "b": 3, "c": 1}
    assert shares({"c": 1, "b": 1, "a": 1}, 4) == {"a": 2, "b": 1, "c": 1}
    assert largest_remainders({"a": 0.1 * 3 * 10, "b": 7.0 - 1e-12}) == {"a": 3, "b": 7}
    assert shares({}, 5) == {}
