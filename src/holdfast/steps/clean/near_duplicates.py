"""Near-duplicates: MinHash signatures (rensa), banded into candidates; those of an exact Jaccard similarity from the
threshold on that also ask the same (`decisive_words`).

Broder 1997 (resemblance); Indyk and Motwani 1998 (locality-sensitive hashing); Leskovec et al., Mining of Massive
Datasets, section 3.4 (bands).
"""

import numpy as np
import numpy.typing as npt
import polars as pl
from rensa import RMinHash

from holdfast.steps.clean.decisive_words import Counts, count_words, no_words, task_hashes
from holdfast.text.words import Grams, distinct, grams, words

_ROWS_AT_ONCE = 20_000
_PAIRS_AT_ONCE = 200_000
_RECALL = 0.99  # share of the pairs at the threshold that become candidates
_FIRST, _NEXT = 8, 8  # in a bucket, a row meets this many of the first rows and of those right before it
Ints = npt.NDArray[np.int64]


def bands(threshold: float, permutations: int) -> tuple[int, int]:
    """(number of bands, rows per band): the longest bands that still find `_RECALL` of the pairs at `threshold`."""
    fits = [(permutations // rows, rows) for rows in range(1, permutations + 1)]
    good = [(count, rows) for count, rows in fits if 1 - (1 - threshold**rows) ** count >= _RECALL]
    return good[-1] if good else fits[0]


def duplicates_of(
    texts: pl.Series, rank: Ints, threshold: float, ngram: int, permutations: int
) -> tuple[Ints, npt.NDArray[np.float64]]:
    """For each text the row of the kept text that it duplicates, or -1 if it is kept; and the Jaccard similarity.

    Texts are taken by `rank` (distinct, smaller first) and kept unless they are near-duplicates of a kept text. So
    every dropped text has at least the similarity `threshold` to a kept one and asks the same; row order does not
    matter.
    """
    order = np.argsort(rank)
    ordered = texts.gather(order)
    sets, keys, counts = _sketch(ordered, ngram, permutations, *bands(threshold, permutations))
    pairs = _candidates(keys, np.diff(sets.offsets) > 0)
    similarity = jaccard(sets, pairs)
    near = similarity >= threshold - 1e-12
    near[near] = _same_task(ordered, pairs[near], counts)
    kept, value = _keep_first(len(texts), pairs[near], similarity[near])
    by_row, by_value = np.full(len(texts), -1), np.zeros(len(texts))
    by_row[order] = np.where(kept >= 0, order[kept], -1)
    by_value[order] = value
    return by_row, by_value


def _same_task(texts: pl.Series, pairs: Ints, counts: Counts) -> npt.NDArray[np.bool_]:
    rows = np.unique(pairs)
    task = task_hashes(words(texts.gather(rows)), counts)
    return np.asarray(task[np.searchsorted(rows, pairs[:, 0])] == task[np.searchsorted(rows, pairs[:, 1])])


def _sketch(
    texts: pl.Series, ngram: int, permutations: int, count: int, rows: int
) -> tuple[Grams, npt.NDArray[np.uint64], Counts]:
    """Each text's n-gram set, its key in every band (texts x bands), and how often each word occurs in all texts."""
    hashes, sizes, keys, counts = [], [], [], no_words()
    mix = np.random.default_rng(0).integers(1, 2**63, rows, dtype=np.uint64) | np.uint64(1)
    for start in range(0, len(texts), _ROWS_AT_ONCE):
        lists = words(texts.slice(start, _ROWS_AT_ONCE))
        count_words(counts, lists)
        some = distinct(grams(lists, ngram))
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(
            some.hashes, some.offsets.astype(np.uint64), num_perm=permutations, seed=42
        )
        signature = np.array(matrix.to_rows(), dtype=np.uint64)[:, : count * rows].reshape(-1, count, rows)
        keys.append((signature * mix).sum(axis=2, dtype=np.uint64))
        hashes.append((some.hashes >> np.uint64(32)).astype(np.uint32))  # half the memory, enough to compare two texts
        sizes.append(np.diff(some.offsets))
    empty = [np.zeros(0, dtype=np.uint32)]
    offsets = np.concatenate([[0], np.cumsum(np.concatenate([np.zeros(0, dtype=np.int64), *sizes]))]).astype(np.int64)
    return (
        Grams(np.concatenate(empty + hashes), offsets),
        np.concatenate([np.zeros((0, count), dtype=np.uint64), *keys]),
        counts,
    )


def _candidates(keys: npt.NDArray[np.uint64], filled: npt.NDArray[np.bool_]) -> Ints:
    """Pairs (smaller row, larger row) that share a key, sorted. A row meets a bounded number of rows per band."""
    rows = np.flatnonzero(filled)
    found = np.zeros(0, dtype=np.int64)
    for band in range(keys.shape[1]):
        key = keys[rows, band]
        order = np.argsort(key, kind="stable")  # stable: rows ascend within a bucket
        key, row = key[order], rows[order]
        new = np.concatenate([[True], key[1:] != key[:-1]])
        starts = (
            np.maximum.accumulate(np.where(new, np.arange(len(key)), 0)) if len(key) else np.zeros(0, dtype=np.int64)
        )
        place = np.arange(len(key))
        codes = [found]
        for step in range(1, _NEXT + 1):
            late = place[place - step >= starts]
            codes.append(row[late - step] << 32 | row[late])
        for first in range(_FIRST):
            late = place[place > starts + first]
            codes.append(row[starts[late] + first] << 32 | row[late])
        found = np.unique(np.concatenate(codes))
    return np.stack([found >> 32, found & 0xFFFFFFFF], axis=1)


def jaccard(sets: Grams, pairs: Ints) -> npt.NDArray[np.float64]:
    """|A and B| / |A or B| for each pair of rows of `sets` (each row's hashes distinct)."""
    sizes = np.diff(sets.offsets)
    results = [np.zeros(0)]
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        some = pairs[start : start + _PAIRS_AT_ONCE]
        rows, which = some.T.ravel(), np.tile(np.arange(len(some)), 2)
        lengths = sizes[rows]
        skipped = np.cumsum(lengths) - lengths
        at = np.arange(lengths.sum()) - np.repeat(skipped - sets.offsets[rows], lengths)
        both = np.repeat(which, lengths).astype(np.uint64) << np.uint64(32) | sets.hashes[at].astype(np.uint64)
        both.sort()
        shared = np.bincount((both[1:][both[1:] == both[:-1]] >> np.uint64(32)).astype(np.int64), minlength=len(some))
        results.append(shared / np.maximum(sizes[some].sum(axis=1) - shared, 1))
    return np.concatenate(results)


def _keep_first(rows: int, pairs: Ints, similarity: npt.NDArray[np.float64]) -> tuple[Ints, npt.NDArray[np.float64]]:
    """For each row the first kept row before it with which it is paired, or -1; and the similarity."""
    kept, value = np.full(rows, -1), np.zeros(rows)
    order = np.lexsort((pairs[:, 0], pairs[:, 1]))
    dropped: set[int] = set()
    for k, (first, later) in zip(order.tolist(), pairs[order].tolist(), strict=True):
        if later not in dropped and first not in dropped:
            dropped.add(later)
            kept[later], value[later] = first, similarity[k]
    return kept, value
