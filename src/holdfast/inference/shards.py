"""Shards: the rows of one step with one model, dealt to several jobs (`models.<name>.shards`).

Each shard's job asks the model for its rows and leaves the answers in the journal; the step's own job then writes the
table from the journal, as it does without shards. So tables, journal and resuming do not depend on how many there are.
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple

import polars as pl

from holdfast.common.errors import UserError
from holdfast.common.files import write_json
from holdfast.inference.params import Model


class Shard(NamedTuple):
    """The `number`-th of `of` shards, counted from 1."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        number, of = map(int, text.split("/"))
        assert 1 <= number <= of, text
        return cls(number, of)

    def has(self, key: bytes) -> bool:
        """Whether a request with this key is this shard's. Equal requests are in one shard."""
        return int.from_bytes(key[:8], "little") % self.of == self.number - 1

    def rows(self, total: int) -> int:
        """About how many of a step's rows are this shard's."""
        return max(1, round(total / self.of))


def write_shard(shard: Shard, answers: Iterable[pl.DataFrame | pl.LazyFrame], path: str) -> None:
    """Write what a finished shard did: its number, its rows, and a hash of their requests (`request_key`)."""
    keys = pl.concat([frame.lazy().select("request_key") for frame in answers]).collect()["request_key"].sort()
    digest = blake2b("".join(keys).encode(), digest_size=16).hexdigest()
    write_json({"shard": shard.number, "of": shard.of, "rows": len(keys), "requests": digest}, path)


def refuse_missing(step: str, name: str, model: Model) -> None:
    """To be called for a request without an answer after all shards are done. An endpoint's model may be asked here.

    Raises UserError for a model on this machine: the job that puts the shards together has no GPU.
    """
    if model.engine != "openai":
        raise UserError(
            f"{step} {name}: the journal lacks answers that the shards of {name} have left there (it was deleted, or"
            f" another checkout made the shards): delete data/{step}/shards/ and run the same command again"
        )
