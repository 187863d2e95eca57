"""reconstruct: the base model speaks as its own user. Samples, not yet cleaned.

Pre-query sampling is Magpie's (arXiv 2406.08464); as the source of rehearsal data: arXiv 2506.09428, section 3.1.
"""

from collections.abc import Iterator

import polars as pl

from holdfast.common.ids import row_id, row_seed
from holdfast.common.tables import SAMPLES
from holdfast.inference.ask import Request
from holdfast.inference.params import Sampling


def requests(prompts: pl.DataFrame, sampling: Sampling, random_seed: int) -> Iterator[Request]:
    """The first user's turns: as many per prompt as its `samples`, each with a seed of its own."""
    for row in prompts.iter_rows(named=True):
        ids, stops = tuple(row["prefix_ids"]), tuple(row["stop_ids"])
        for draw in range(row["samples"]):
            sample_id = row_id("sample", row["prompt_id"], draw)
            seed = row_seed(random_seed, row["prompt_id"], draw)
            yield Request(sample_id, ids, None, seed, sampling, stops, own_logprob=True, stop_text=row["stop_text"])


def first_turns(prompts: pl.DataFrame, answers: pl.DataFrame) -> pl.DataFrame:
    """SAMPLES of one turn each, in the order of `prompts` and draws, from the answers to `requests`."""
    rows = prompts.select(
        "prompt_id",
        draw=pl.int_ranges(pl.col("samples")),
        messages=pl.when(pl.col("system").is_not_null()).then(
            pl.concat_list(pl.struct(role=pl.lit("system"), content="system"))
        ),
    ).explode("draw")
    assert len(rows) == len(answers), "one answer per sample"
    no_messages = pl.lit([], dtype=SAMPLES["messages"])
    return pl.concat([rows, answers.rename({"id": "sample_id"})], how="horizontal").with_columns(
        turn=pl.lit(1, dtype=pl.Int64), messages=pl.col("messages").fill_null(no_messages)
    )[list(SAMPLES)]
