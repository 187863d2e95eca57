"""The answers of one model, the base or a trained arm, to the items of all suites or to one shard of them."""

import argparse
from pathlib import Path

import polars as pl

from holdfast.common.errors import UserError
from holdfast.common.processes import in_own_process
from holdfast.common.section import value
from holdfast.inference.fingerprint import read_model
from holdfast.inference.model_files import pinned
from holdfast.inference.params import Model
from holdfast.inference.shards import Shard
from holdfast.steps.evaluate.answers import answer_all
from holdfast.steps.evaluate.params import Evaluate, ItemSuite
from holdfast.steps.evaluate.requests import Questions, requests


def evaluated_model(args: argparse.Namespace) -> Model:
    """The model of the arm `args.arm` at `args.model`. Raises UserError when it is an adapter or incomplete."""
    base = value(args.params, "base")
    model = read_model(args.params, base)
    if args.model == model.path:
        return pinned(base, model)
    if not (Path(args.model) / "config.json").exists():
        raise UserError(
            f"{args.model}: is not a complete model (it has no config.json);"
            " an adapter must be merged (train.merge: true)"
        )
    return model.trained(args.model)  # a trained arm runs under the base model's settings


def ask_items(arm: str, model: Model, evaluate: Evaluate, asked: Questions, shard: Shard | None = None) -> pl.DataFrame:
    """The answers (schema of `ask`) to all questions, or to those of the shard."""
    prompts = list(requests(asked, evaluate.sampling))
    if all(isinstance(suite, ItemSuite) for suite in evaluate.suites.values()):  # no other model needs the memory
        return answer_all(arm, model, prompts, shard)
    return in_own_process(f"arm {arm}", answer_all, arm, model, prompts, shard)
