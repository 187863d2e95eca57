"""Numbers and times as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.common.wording import counted, duration


def test_numbers_agree_with_their_nouns():
    assert [counted(n, "row") for n in (0, 1, 2, 12345)] == ["0 rows", "1 row", "2 rows", "12,345 rows"]
    assert counted(2, "entry", "entries") == "2 entries"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "under 1 s"), (45.2, "45 s"), (59.7, "1 min"), (90, "2 min"), (3599, "1 h"), (4800, "1 h 20 min"),
     (86_390, "1 day"), (187_200, "2 days 4 h")],
)  # fmt: skip
def test_durations(seconds, text):
    assert duration(seconds) == text


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_a_longer_time_never_reads_shorter(one, two):
    units = {"s": 1, "min": 60, "h": 3600, "day": 86400, "days": 86400}

    def value(text):
        if text == "under 1 s":
            return 0
        words = text.replace(",", "").split()
        return sum(int(n) * units[unit] for n, unit in zip(words[::2], words[1::2], strict=True))

    assert value(duration(min(one, two))) <= value(duration(max(one, two)))
    assert abs(value(duration(one)) - one) <= max(1, one / 3)  # 90 s read "2 min"
