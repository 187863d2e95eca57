"""Samples of user turns, which the base model writes after the pre-query prefix; not yet cleaned.

Pre-query sampling is Magpie's (arXiv 2406.08464); as the source of rehearsal data: arXiv 2506.09428, section 3.1.
"""

from collections.abc import Iterator
from typing import Any

import polars as pl

from holdfast.common.ids import row_id, row_seed
from holdfast.common.tables import SAMPLES
from holdfast.inference.ask import Request
from holdfast.inference.params import Sampling


def requests(prompts: pl.DataFrame, sampling: Sampling, random_seed: int) -> Iterator[Request]:
    """Requests for the first user turns: for each prompt as many as its `samples`, each with its own seed."""
    for row in prompts.iter_rows(named=True):
        ids, stops = tuple(row["prefix_ids"]), tuple(row["stop_ids"])
        for draw, sample_id in _draws(row):
            seed = row_seed(random_seed, row["prompt_id"], draw)
            yield Request(sample_id, ids, None, seed, sampling, stops, own_logprob=True, stop_text=row["stop_text"])


def _draws(prompt: dict[str, Any]) -> list[tuple[int, str]]:
    """The number and sample_id of each draw from a prompt."""
    return [(draw, row_id("sample", prompt["prompt_id"], draw)) for draw in range(prompt["samples"])]


def first_turns(prompts: pl.DataFrame, answers: pl.DataFrame) -> pl.DataFrame:
    """SAMPLES of one turn each, in the order of `prompts` and draws, from answers to all or some `requests`."""
    drawn = [(row["prompt_id"], *draw) for row in prompts.iter_rows(named=True) for draw in _draws(row)]
    schema = {name: SAMPLES[name] for name in ("prompt_id", "draw", "sample_id")}
    rows = pl.DataFrame(drawn, schema=schema, orient="row")
    rows = rows.join(answers.select(sample_id="id"), on="sample_id", how="semi", maintain_order="left")
    assert rows["sample_id"].equals(answers["id"]), "answers do not come in the order of the samples"
    system = pl.when(pl.col("system").is_not_null()).then(
        pl.concat_list(pl.struct(role=pl.lit("system"), content="system"))
    )
    messages = prompts.select("prompt_id", messages=system.fill_null(pl.lit([], dtype=SAMPLES["messages"])))
    rows = rows.join(messages, on="prompt_id", how="left", maintain_order="left").with_columns(turn=pl.lit(1, pl.Int64))
    return pl.concat([rows, answers.drop("id")], how="horizontal")[list(SAMPLES)]
