"""The answers of one model, the base or a trained arm, to the items of all suites or to one shard of them."""

import polars as pl

from holdfast.common.processes import in_own_process
from holdfast.inference.params import Model
from holdfast.inference.shards import Shard
from holdfast.steps.evaluate.answers import answer_all
from holdfast.steps.evaluate.params import Evaluate, ItemSuite
from holdfast.steps.evaluate.requests import Questions, requests


def ask_items(arm: str, model: Model, evaluate: Evaluate, asked: Questions, shard: Shard | None = None) -> pl.DataFrame:
    """The answers (schema of `ask`) to all questions, or to those of the shard."""
    sharded = shard is None and model.shards > 1
    asking = (arm, model, list(requests(asked, evaluate.sampling)), shard, sharded)
    if all(isinstance(suite, ItemSuite) for suite in evaluate.suites.values()):  # no other model needs the memory
        return answer_all(*asking)
    return in_own_process(f"arm {arm}", answer_all, *asking)
