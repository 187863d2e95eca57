"""The answers of one committee model: to all instructions, or to one shard of them."""

import argparse
from typing import NamedTuple

import polars as pl

from holdfast.common.files import scan_table
from holdfast.common.section import read, value
from holdfast.common.tables import INSTRUCTIONS
from holdfast.inference.ask import ask
from holdfast.inference.fingerprint import read_model
from holdfast.inference.model_files import pinned
from holdfast.inference.params import Model
from holdfast.inference.shards import Shard
from holdfast.steps.generate.candidates import requests
from holdfast.steps.generate.params import Generate


class Asked(NamedTuple):
    """A committee model, how often it was asked, and its answers (schema ANSWERS) in the order of `requests`."""

    model: Model
    samples: int
    answers: pl.LazyFrame


def ask_all(args: argparse.Namespace, earlier: str, shard: Shard | None = None) -> Asked:
    """Ask `args.model` for what is not in the journal. `earlier` is the table whose last version may have answers."""
    generate = read(args.params, "generate", Generate)
    model = pinned(args.model, read_model(args.params, args.model))
    sampling = generate.models[args.model].over(generate.sampling)
    instructions = scan_table(args.instructions, INSTRUCTIONS)
    answers = ask(
        args.model,
        model,
        requests(instructions, args.model, generate.samples, sampling, value(args.params, "random_seed")),
        instructions.select(pl.len()).collect().item() * generate.samples,
        step="generate",
        output=earlier,
        text_column="response",
        shard=shard,
        sharded=shard is None and model.shards > 1,
    )
    return Asked(model, generate.samples, answers)
