"""Clusters of rows by the words of their questions, for a source that is drawn evenly over them.

Spherical k-means (Dhillon and Modha, Concept Decompositions for Large Sparse Text Data, Machine Learning 42, 2001)
of words weighted by TF-IDF, started as k-means++ (Arthur and Vassilvitskii, 2007). The matrices stay sparse, and
SciPy multiplies those with one thread: the same rows give the same clusters on any number of cores.
"""

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.sparse import csr_array

from holdfast.common.ids import row_seed
from holdfast.text.words import words

VOCABULARY = 20_000  # words, the most frequent ones: rarer ones cost time and tell few rows apart
FITTED_ON = 20_000  # rows, a random sample; the others are only assigned, so that time grows with their number alone
ITERATIONS = 20
_AT_ONCE = 10_000

Centres = npt.NDArray[np.float64]  # a column per cluster, of length 1


def cluster(rows: pl.DataFrame, count: int, random_seed: int) -> pl.DataFrame:
    """Columns row_id and cluster (0, 1, …; at most `count` and one more) of `rows` (row_id, questions).

    The order of rows does not matter. Rows without a word that another one has are a cluster by themselves.
    """
    rows = rows.unique("row_id")
    keys = [row_seed(random_seed, "clusters", row_id) for row_id in rows["row_id"]]
    rows = rows.with_columns(_key=pl.Series(keys, dtype=pl.Int64)).sort("_key", "row_id")
    weights = _weights(words(rows["questions"].list.join("\n")))
    known = np.flatnonzero(weights.indptr[1:] > weights.indptr[:-1])
    found = np.zeros(rows.height, dtype=np.int64)
    if len(known):
        points = weights[known]
        centres = _centres(points[:FITTED_ON], count, np.random.default_rng(random_seed))
        found[known] = _nearest(points, centres) + 1
    return rows.select("row_id", cluster=pl.Series(found).rank("dense").cast(pl.Int64) - 1)


def _weights(texts: pl.Series) -> csr_array:
    """TF-IDF of lists of words: a row per text, of length 1, and a column per word that several but not all have.

    All numbers are one word: they seldom say what a question is about. Manning, Raghavan and Schütze, Introduction to
    Information Retrieval (2008), section 6.4: logarithmic counts (l), idf (t), cosine (c).
    """
    table = pl.DataFrame({"row": pl.int_range(len(texts), eager=True), "word": texts}).explode("word").drop_nulls()
    table = table.with_columns(pl.col("word").str.replace_all(r"\p{N}+", "0"))
    counts = table.group_by("row", "word").len("times")
    known = counts.group_by("word").len("rows").filter(pl.col("rows").is_between(2, len(texts) - 1))
    known = known.sort("rows", "word", descending=[True, False]).head(VOCABULARY).with_row_index("column")
    cells = counts.join(known, on="word").sort("row", "column")
    weight = ((1 + cells["times"].log()) * (len(texts) / cells["rows"]).log()).to_numpy()
    row = cells["row"].to_numpy()
    length = np.sqrt(np.bincount(row, weight**2, len(texts)))
    return csr_array((weight / length[row], (row, cells["column"].to_numpy())), shape=(len(texts), known.height))


def _centres(points: csr_array, count: int, rng: np.random.Generator) -> Centres:
    """At most `count` centres; fewer where there are fewer different points."""
    first = rng.integers(points.shape[0])
    centres = [points[[first]].toarray()[0]]
    distance = 1 - points @ centres[0]
    while len(centres) < count and distance.max() > 1e-9:
        reached = np.cumsum(np.where(distance > 1e-9, distance, 0.0))  # of points of length 1 half the squared distance
        chosen = np.searchsorted(reached, rng.random() * reached[-1], side="right")
        centres.append(points[[chosen]].toarray()[0])
        distance = np.minimum(distance, 1 - points @ centres[-1])
    found, labels = np.array(centres).T, np.full(points.shape[0], -1)
    for _ in range(ITERATIONS):
        before, labels = labels, _nearest(points, found)
        if (labels == before).all():
            break
        members = csr_array((np.ones(len(labels)), (labels, np.arange(len(labels)))), (found.shape[1], len(labels)))
        sums = (members @ points).toarray().T
        length = np.sqrt((sums**2).sum(axis=0))
        found = np.where(length > 0, sums / np.where(length > 0, length, 1), found)  # an empty cluster stays
    return found


def _nearest(points: csr_array, centres: Centres) -> npt.NDArray[np.int64]:
    """The cluster of each point: that with the greatest cosine."""
    parts = [points[start : start + _AT_ONCE] @ centres for start in range(0, points.shape[0], _AT_ONCE)]
    return np.concatenate([part.argmax(axis=1) for part in parts])
