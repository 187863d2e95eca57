"""The columns of what the step probe writes, which the step mix reads."""

import polars as pl

PROBES = {
    "candidate_id": pl.String,
    "logprob": pl.Float64,  # sum over the tokens of the answer and the one that ends its turn; null: see `error`
    "tokens": pl.Int64,  # how many these are
    "error": pl.String,  # null when fine, else the reason: prompt_too_long, template_refused, …
}
