"""Shards deal a step's rows to several jobs: each row to one, and together they are what one job would have been."""

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.common.errors import UserError
from holdfast.inference.ask import ask
from holdfast.inference.params import Model
from holdfast.inference.shards import Shard, write_shard
from server import model, questions, served

pytestmark = pytest.mark.usefixtures("empty_folder")


@given(key=st.binary(min_size=16, max_size=16), of=st.integers(1, 9))
def test_every_row_is_in_one_shard(key: bytes, of: int) -> None:
    assert sum(Shard(number, of).has(key) for number in range(1, of + 1)) == 1


@pytest.mark.parametrize("of", [1, 2, 5])
def test_shards_together_ask_what_one_job_asks(of: int) -> None:
    asked = questions(40)
    asked += [request._replace(id=f"again {request.id}") for request in asked]
    with served() as server:
        parts = []
        for number in range(1, of + 1):
            shard = Shard.parse(f"{number}/{of}")
            part = ask("m", model(server), asked, len(asked), step="test", shard=shard).collect()
            write_shard(shard, [part], f"{number}.json")
            done = json.loads(Path(f"{number}.json").read_text())
            assert (done["shard"], done["of"], done["rows"]) == (number, of, len(part))
            parts.append(part)
        whole = ask("m", model(server), asked, len(asked), step="test", sharded=True).collect()
        assert set(server.tries.values()) == {1}
    assert whole["id"].to_list() == [request.id for request in asked]
    assert pl.concat(parts).sort("id").equals(whole.sort("id"))


def test_what_a_shard_wrote_changes_with_its_rows_alone() -> None:
    with served() as server:
        for name, asked in (("a", questions(30)), ("b", questions(30)[::-1]), ("c", questions(31))):
            part = ask("m", model(server), asked, len(asked), step="test", shard=Shard(1, 1))
            write_shard(Shard(1, 1), [part], f"{name}.json")
    a, b, c = (Path(f"{name}.json").read_text() for name in "abc")
    assert a == b
    assert a != c


def test_a_journal_that_lost_the_shards_answers_is_a_fault_with_a_remedy() -> None:
    """The job that puts shards together has no GPU: it must not load a model."""
    Path("models").mkdir()
    Path("models/config.json").write_text("{}")
    local = Model(path="./models", engine="vllm", shards=2)
    with pytest.raises(UserError, match=r"generate m: the journal lacks answers .* delete data/generate/shards/"):
        ask("m", local, questions(1), 1, step="generate", sharded=True)
