"""Texts as words and n-grams of words, hashed, for many rows at once."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

# A word is a run of letters and digits, or one character of a script that is written without spaces, or a symbol;
# the punctuation of sentences is nothing: "What is 3 + 4?" and "what is 3 + 4" are the same words.
UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
WORD = rf"[{UNSPACED}]|[\p{{L}}\p{{M}}\p{{N}}--{UNSPACED}]+|[\p{{S}}\-/*%&@#\\]"
_MIX = np.uint64(0x9E3779B97F4A7C15)


class Grams(NamedTuple):
    """Hashes of all rows' n-grams: row `i` has `hashes[offsets[i]:offsets[i + 1]]`, in the order of the text."""

    hashes: npt.NDArray[np.uint64]
    offsets: npt.NDArray[np.int64]

    def rows(self) -> npt.NDArray[np.int64]:
        """The row number of every hash."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))


def words(texts: pl.Series) -> pl.Series:
    """Lists of the words of each text, in lower case, compatibility forms unified (NFKC)."""
    # NFKC is slow, and leaves ASCII as it is
    beyond_ascii = (texts.str.len_chars() != texts.str.len_bytes()).arg_true()
    texts = texts.clone().scatter(beyond_ascii, texts.gather(beyond_ascii).str.normalize("NFKC"))
    return texts.str.to_lowercase().str.extract_all(WORD)


def grams(lists: pl.Series, n: int) -> Grams:
    """The n-grams of lists of words; a row with fewer words is one n-gram, a row without words has none."""
    lengths = lists.list.len().to_numpy().astype(np.int64)
    hashes = np.append(lists.explode(empty_as_null=False).hash(seed=0).to_numpy(), np.uint64(0))
    starts = np.concatenate([[0], np.cumsum(lengths)])
    counts = np.where(lengths >= n, lengths - n + 1, np.minimum(lengths, 1))
    offsets = np.concatenate([[0], np.cumsum(counts)])
    row = np.repeat(np.arange(len(lengths)), counts)
    first = starts[row] + np.arange(offsets[-1]) - offsets[row]
    last = np.minimum(first + n, starts[row + 1])
    mixed = np.zeros(len(first), dtype=np.uint64)
    for k in range(n):  # order matters: a b is not b a
        at = np.where(first + k < last, first + k, len(hashes) - 1)
        mixed = spread(mixed + hashes[at])
    return Grams(mixed, offsets)


class Runs(NamedTuple):
    """All runs of `length` words: their hashes, the rows they are in, and the number of their first word among all
    rows' words."""

    length: int
    hashes: npt.NDArray[np.uint64]
    row: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]


def runs_of_words(lists: pl.Series, lengths: Collection[int]) -> Iterator[Runs]:
    """The runs of each of `lengths`, ascending. Every run of n words has the hash that `grams(…, n)` gives it."""
    counts = lists.list.len().to_numpy().astype(np.int64)
    hashes = lists.explode(empty_as_null=False).hash(seed=0).to_numpy()
    row = np.repeat(np.arange(len(counts)), counts)
    end = np.repeat(np.cumsum(counts), counts)
    first = np.arange(len(hashes))
    mixed = np.zeros(len(hashes), dtype=np.uint64)
    for length in range(1, max(lengths, default=0) + 1):
        fits = first + length <= end[first]
        first, mixed = first[fits], mixed[fits]
        mixed = spread(mixed + hashes[first + length - 1])
        if length in lengths:
            yield Runs(length, mixed, row[first], first)


def distinct(found: Grams) -> Grams:
    """Each row's n-grams once, sorted."""
    rows = found.rows()
    order = np.lexsort((found.hashes, rows))
    hashes, rows = found.hashes[order], rows[order]
    keep = np.ones(len(hashes), dtype=bool)
    keep[1:] = (hashes[1:] != hashes[:-1]) | (rows[1:] != rows[:-1])
    counts = np.bincount(rows[keep], minlength=len(found.offsets) - 1)
    return Grams(hashes[keep], np.concatenate([[0], np.cumsum(counts)]))


def spread(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """A bijection that spreads bits (splitmix64: Steele et al., OOPSLA 2014, figure 19)."""
    x = x + _MIX
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
