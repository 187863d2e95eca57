"""Metrics of a reconstruction: rows kept and rejected, coverage of the instruction distribution, diversity."""

from typing import Any

import numpy as np
import polars as pl
from scipy import sparse

from holdfast.steps.clean.richness import coverage, growth, unseen
from holdfast.text.words import distinct, grams, words

_PROBED, _NEIGHBOURS = 1_000, 20_000  # the nearest neighbours of this many instructions are searched among this many
_POINTS = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)  # of the growth curve, as multiples of what was drawn


def quality(
    judged: pl.DataFrame,
    distinct_: pl.DataFrame,
    kept: pl.DataFrame,
    rejected: pl.DataFrame,
    contamination: pl.DataFrame,
) -> dict[str, Any]:
    """Metrics of one reconstruction.

    `judged`: all samples with their reasons (`drop_reasons.reasons`); `distinct_`: INSTRUCTIONS before contamination
    and near-duplicates; `kept`: those that stay; `rejected`, `contamination`: their tables.
    """
    return {
        "samples": len(judged),
        "instructions": len(kept),
        "counts": {
            "rejected": _counts(rejected["reason"]),
            "valid_samples": int(distinct_["count"].sum()),
            "distinct": len(distinct_),
        },
        "richness": richness(distinct_["count"]),
        "tokens": _distribution(kept["tokens"]),
        "characters": _distribution(kept["instruction"].str.len_chars()),
        "perplexity": perplexity(judged),
        "turns": _counts(_turns(kept).cast(pl.String)),
        "languages": _counts(kept["language"]),
        "slices": {
            name: {
                "samples": int((judged["slice"] == name).sum()),
                "instructions": len(some),
                "distinct": len(all_),
                "coverage": round(coverage(all_["count"].to_numpy()), 4),
                "tokens": _distribution(some["tokens"]),
            }
            for name in judged["slice"].unique().sort()
            for some, all_ in [(kept.filter(pl.col("slice") == name), distinct_.filter(pl.col("slice") == name))]
        },
        "nearest_neighbour_similarity": nearest_neighbours(kept),
        "contamination": {
            "instructions": contamination["instruction_id"].n_unique(),
            "suites": _counts(contamination["suite"]),
            "kinds": _counts(contamination["kind"]),
        },
    }


def perplexity(judged: pl.DataFrame) -> dict[str, float] | None:
    """Perplexity of valid samples, the end of the turn included, under the base model at temperature 1, without top-p.

    `mean` is over all tokens, the quantiles are over samples; samples weigh as often as they were drawn. Null where the
    engine gives no log-probabilities.
    """
    valid = (
        judged.filter(pl.col("reason").is_null() & (pl.col("output_tokens") > 0))
        .select("output_tokens", total=pl.col("logprobs").list.first())
        .drop_nulls()
    )
    if valid.is_empty():
        return None
    totals, tokens = valid["total"].to_numpy(), valid["output_tokens"].to_numpy()
    by_sample = np.exp(-totals / tokens)
    over_tokens = float(np.exp(-totals.sum() / tokens.sum()))
    return {"mean": round(over_tokens, 3)} | {
        f"p{q}": round(float(np.quantile(by_sample, q / 100)), 3) for q in (5, 50, 95)
    }


def richness(counts: pl.Series) -> dict[str, Any]:
    """How often distinct instructions were sampled, and estimates of those that were not (`richness`)."""
    drawn = counts.to_numpy().astype(np.int64)
    n = int(drawn.sum())
    points = sorted({round(n * point) for point in _POINTS} - {0})
    return {
        "draws": n,
        "distinct": len(drawn),
        "unique_share": round(len(drawn) / n, 4) if n else None,
        "drawn_once": int((drawn == 1).sum()),
        "drawn_twice": int((drawn == 2).sum()),
        "coverage": round(coverage(drawn), 4),
        "unseen_at_least": round(unseen(drawn), 1),
        "growth": [{"draws": draws, "distinct": round(growth(drawn, draws), 1)} for draws in points],
    }


def nearest_neighbours(kept: pl.DataFrame) -> dict[str, float] | None:
    """Quantiles of the Jaccard similarity of word sets between an instruction and the nearest other one.

    Of the first 1,000 by id, among the first 20,000: ids are hashes, so this is a random sample. Null below two rows.
    """
    if len(kept) < 2:
        return None
    sets = distinct(grams(words(kept.sort("instruction_id")["instruction"].head(_NEIGHBOURS)), 1))
    _, columns = np.unique(sets.hashes, return_inverse=True)
    ones = np.ones(len(columns), dtype=np.int32)
    rows = len(sets.offsets) - 1
    matrix = sparse.csr_array((ones, columns, sets.offsets), shape=(rows, int(columns.max(initial=0)) + 1))
    sizes = np.diff(sets.offsets)
    best = []
    for start in range(0, min(rows, _PROBED), 100):
        block = slice(start, min(start + 100, rows, _PROBED))
        shared = (matrix[block] @ matrix.T).toarray()
        similarity = shared / np.maximum(sizes[block, None] + sizes[None, :] - shared, 1)
        similarity[np.arange(len(shared)), np.arange(start, start + len(shared))] = 0
        best.append(similarity.max(axis=1))
    found = np.concatenate(best)
    return {"mean": round(float(found.mean()), 4)} | {
        f"p{q}": round(float(np.quantile(found, q / 100)), 4) for q in (10, 50, 90)
    }


def _turns(kept: pl.DataFrame) -> pl.Series:
    return kept["messages"].list.eval(pl.element().struct.field("role") == "user").list.sum()


def _counts(values: pl.Series) -> dict[str, int]:
    counts = values.drop_nulls().value_counts(name="n").rows()
    return {str(name): n for name, n in sorted(counts, key=lambda pair: (-pair[1], pair[0]))}


def _distribution(values: pl.Series) -> dict[str, float] | None:
    """Mean and quantiles."""
    if values.is_empty():
        return None
    found = values.cast(pl.Float64).to_numpy()
    return {"mean": round(float(found.mean()), 2)} | {f"p{q}": float(np.quantile(found, q / 100)) for q in (5, 50, 95)}
