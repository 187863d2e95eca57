"""Texts in which words or characters are repeated over and over."""

import numpy as np
import numpy.typing as npt
import polars as pl

from holdfast.text.words import words

_WORD_PERIODS, _WORD_REPEATS = 20, 4
_CHARACTER_PERIODS, _CHARACTER_REPEATS = 8, 8
_ROWS_AT_ONCE = 50_000


def repeated_share(texts: pl.Series) -> npt.NDArray[np.float64]:
    """Share of each text that its longest repetition takes: of a unit of up to 20 words at least 4 times in a row, or
    of a unit of up to 8 characters at least 8 times; the larger of the two shares."""
    parts = [_shares(texts.slice(start, _ROWS_AT_ONCE)) for start in range(0, len(texts), _ROWS_AT_ONCE)]
    return np.concatenate([np.zeros(0), *parts])


def _shares(texts: pl.Series) -> npt.NDArray[np.float64]:
    lists = words(texts)
    by_word = _longest(
        lists.explode(empty_as_null=False).hash(seed=0).to_numpy(),
        lists.list.len().to_numpy(),
        _WORD_PERIODS,
        _WORD_REPEATS,
    )
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    by_character = _longest(codes, texts.str.len_chars().to_numpy(), _CHARACTER_PERIODS, _CHARACTER_REPEATS)
    return np.maximum(by_word, by_character)


def _longest(
    values: npt.NDArray[np.uint64] | npt.NDArray[np.uint32], lengths: npt.NDArray[np.uint32], periods: int, repeats: int
) -> npt.NDArray[np.float64]:
    """Share of each row (of `lengths` values) that its longest repetition of one unit takes."""
    longest = np.zeros(len(lengths), dtype=np.int64)
    row = np.repeat(np.arange(len(lengths)), lengths)
    for period in range(1, periods + 1):
        if len(values) <= period:
            break
        same = (values[period:] == values[:-period]) & (row[period:] == row[:-period])
        edges = np.flatnonzero(np.diff(same, prepend=False, append=False))
        starts, ends = edges[::2], edges[1::2]
        covered = ends - starts + period
        enough = covered >= repeats * period
        np.maximum.at(longest, row[starts[enough]], covered[enough])
    return longest / np.maximum(lengths, 1)
