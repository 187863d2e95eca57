"""Orders in which the rows of a source are drawn, other than by their hashes alone: evenly, or by damage.

A draw is a prefix of the order, so a smaller one is a subset of a larger one.
"""

from collections.abc import Callable

import polars as pl

from holdfast.common.files import scan_table
from holdfast.common.ids import row_seed
from holdfast.common.probe_table import PROBES
from holdfast.steps.mix.params import Source, probe_files

Arranged = Callable[[pl.DataFrame], pl.DataFrame]


def arrangements(rows: pl.DataFrame, sources: dict[str, Source], seed: int) -> dict[str, Arranged]:
    """How the sources are arranged that are not drawn uniformly; `rows` are all their rows (MIXABLE).

    Rows that are rejected later count too, because which ones are depends on the arm: arms are to share rows.
    """
    found: dict[str, Arranged] = {}
    for name, source in sources.items():
        if source.draw == "balanced":
            found[name] = _evenly(name, rows.filter(pl.col("source") == name), source.clusters, seed)
        elif source.draw == "damage":
            found[name] = _by_damage(name, probe_files(source), seed)
    return found


def _evenly(name: str, rows: pl.DataFrame, count: int, seed: int) -> Arranged:
    from holdfast.steps.mix.clusters import cluster  # scipy, which few mixtures need

    clusters = cluster(rows, count, seed)
    sizes = sorted(clusters["cluster"].value_counts()["count"])
    print(f"mix: {name}: drawn evenly over {len(sizes):,} clusters of {sizes[0]:,} to {sizes[-1]:,} rows")
    return lambda pool: in_turn(pool, clusters)


def _by_damage(name: str, files: list[str], seed: int) -> Arranged:
    base, arm = (scan_table(path, PROBES).collect() for path in files)
    damages = damage(base, arm)
    lost = int((damages["damage"] > 0.1).sum())
    print(f"mix: {name}: drawn by damage; the probability of {lost:,} of {len(damages):,} answers fell by 0.1 or more")
    return lambda pool: by_weight(pool, damages.rename({"damage": "weight"}), seed)


def in_turn(rows: pl.DataFrame, clusters: pl.DataFrame) -> pl.DataFrame:
    """The first row of every cluster, then the second of every one that has it, and so on.

    `clusters` has columns row_id and cluster.
    """
    clustered = rows.join(clusters, on="row_id", how="left", maintain_order="left")
    turns = clustered.with_columns(_turn=pl.int_range(pl.len()).over("cluster"))
    return turns.sort("_turn", maintain_order=True).drop("_turn", "cluster")


def damage(base: pl.DataFrame, arm: pl.DataFrame) -> pl.DataFrame:
    """Columns row_id and damage, from 0 to 1: by how much the probability of an answer's tokens (their geometric mean)
    is lower with the arm than with the base model (both PROBES); 0 where it is not lower or not known.

    An answer that the base model finds unlikely cannot lose much, so this is large where the base model is right and
    the arm no more: the collateral damage of Bai et al. (arXiv 2402.08096), for answers of many tokens.
    """
    likely = (pl.col("logprob") / pl.col("tokens")).exp()
    both = base.select("candidate_id", before=likely).join(
        arm.select("candidate_id", after=likely), on="candidate_id", how="left", maintain_order="left"
    )
    fall = (pl.col("before") - pl.col("after")).clip(0, 1).fill_null(0.0)
    return both.select(row_id="candidate_id", damage=fall)


def by_weight(rows: pl.DataFrame, weights: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Rows in the order of a random draw without replacement, in which each is the likelier the greater its weight.

    `weights` has columns row_id and weight; rows with weight 0 or none come last, in their order. Each row has a random
    number of its own: an exponential variate divided by the weight (Efraimidis and Spirakis, Information Processing
    Letters 97, 2006).
    """
    uniform = [(row_seed(seed, "weighted draw", row_id) + 0.5) / 2**31 for row_id in rows["row_id"]]
    late = rows.join(weights, on="row_id", how="left", maintain_order="left").with_columns(
        _waits=-pl.Series(uniform, dtype=pl.Float64).log() / pl.col("weight").fill_null(0.0)
    )
    return late.sort("_waits", maintain_order=True).drop("_waits", "weight")
