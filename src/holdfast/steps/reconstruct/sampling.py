"""All samples from the base model, or one shard of them."""

import argparse

import polars as pl

from holdfast.chat.template import eos_ids, load_tokenizer
from holdfast.common.errors import UserError
from holdfast.common.files import scan_table
from holdfast.common.section import read, value
from holdfast.common.tables import PROMPTS
from holdfast.inference.ask import ask
from holdfast.inference.failures import Failures
from holdfast.inference.fingerprint import read_model
from holdfast.inference.model_files import pinned
from holdfast.inference.shards import Shard
from holdfast.steps.reconstruct.conversations import Conversations, extend
from holdfast.steps.reconstruct.params import Reconstruct
from holdfast.steps.reconstruct.samples import first_turns, requests


def sample_all(args: argparse.Namespace, earlier: str, shard: Shard | None = None) -> pl.DataFrame:
    """SAMPLES, by prompt and draw; what is not in the journal is asked. `earlier`: the table that may have answers.

    Raises UserError when conversations are wanted of a base model without a chat template.
    """
    base = value(args.params, "base")
    model = read_model(args.params, base).without_template()
    random_seed = value(args.params, "random_seed")
    settings = read(args.params, "reconstruct", Reconstruct)
    prompts = scan_table(args.prompts, PROMPTS).sort("prompt_id").collect()
    if settings.multi_turn.share > 0 and "template" not in prompts["kind"]:
        raise UserError(
            "params.yaml: reconstruct.multi_turn.share: a base model without a chat template cannot be sampled for"
            " conversations; set it to 0"
        )
    model = pinned(base, model)
    total = int(prompts["samples"].sum())
    sharded = shard is None and model.shards > 1
    asking = requests(prompts, settings.sampling, random_seed)
    rows = shard.rows(total) if shard else total
    failures = Failures(f"reconstruct {base}", rows, model.max_failed_share)
    answers = ask(
        base, model, asking, total, step="reconstruct", output=earlier, failures=failures, shard=shard, sharded=sharded
    ).collect()
    samples = first_turns(prompts, answers)
    if settings.multi_turn.share > 0:
        trusted = bool(model.engine_args.get("trust_remote_code"))
        tokenizer = load_tokenizer(model.path, model.revision, trust_remote_code=trusted)
        eos = eos_ids(tokenizer, model.path)
        conversations = Conversations(prompts, tokenizer, eos, settings.multi_turn, settings.sampling, random_seed)
        samples = extend(samples, conversations, base, model, failures, sharded)
    return samples
