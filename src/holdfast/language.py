"""Which language a text is in, where that is clear (py3langid, a naive Bayes model over byte n-grams, 97 languages)."""

from functools import cache

import polars as pl
from py3langid import langid

CERTAIN = 0.8  # short or mixed texts stay below: numbers, names, code, lists of words
_FIRST_CHARS = 1000  # enough to tell, and bounds the time of a long text
_ROWS_AT_ONCE = 50_000


@cache
def _identifier() -> langid.LanguageIdentifier:
    return langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)


def language(text: str) -> str | None:
    """ISO 639-1 code, or None when the probability of the likeliest language is below `CERTAIN`."""
    code, probability = _identifier().classify(text[:_FIRST_CHARS])
    return code if probability >= CERTAIN else None


def _languages(texts: pl.LazyFrame) -> pl.DataFrame:
    """The second column of `texts` replaced by its language; in slices, so that the texts are never all in memory."""
    key, text = texts.collect_schema().names()
    parts = []
    for start in range(0, texts.select(pl.len()).collect().item(), _ROWS_AT_ONCE):
        some = texts.slice(start, _ROWS_AT_ONCE).collect()
        codes = [None if value is None else language(value) for value in some[text]]
        parts.append(some.select(key, pl.Series(text, codes, dtype=pl.String)))
    return pl.concat(parts) if parts else texts.collect()


def differ(instructions: pl.LazyFrame, generations: pl.LazyFrame) -> pl.LazyFrame:
    """Columns candidate_id and languages ("de for en"), for answers that are clearly in another language than asked."""
    asked = _languages(instructions.select("instruction_id", asked="instruction"))
    given = _languages(generations.select("candidate_id", given="response"))
    return (
        generations.select("candidate_id", "instruction_id")
        .join(given.lazy(), on="candidate_id")
        .join(asked.lazy(), on="instruction_id")
        .filter(pl.col("given") != pl.col("asked"))
        .select("candidate_id", languages=pl.format("{} for {}", "given", "asked"))
    )
