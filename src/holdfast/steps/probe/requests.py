"""The requests of the step: every selected answer, in its conversation."""

from collections.abc import Iterator

import polars as pl

from holdfast.inference.ask import Request
from holdfast.inference.params import Sampling

NOTHING = Sampling(temperature=0.0, max_tokens=1)


def requests(selected: pl.LazyFrame) -> Iterator[Request]:
    """One request for each row of `selected` (SELECTED), in its order, with the candidate's id."""
    rows = selected.select("candidate_id", "messages", "response", "rendering")
    for row in (row for some in rows.collect_batches(maintain_order=True) for row in some.iter_rows(named=True)):
        asked = ((message["role"], message["content"]) for message in row["messages"])
        yield Request(
            id=row["candidate_id"],
            prompt_ids=None,
            messages=(*asked, ("assistant", row["response"])),
            seed=0,
            sampling=NOTHING,
            rendering=row["rendering"],
            answer_logprob=True,
        )
