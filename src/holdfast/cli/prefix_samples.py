"""Draws a few instructions for `holdfast prefix`: JSON on standard input, a JSON list on the last line of output."""

import json
import sys

import polars as pl

from holdfast.common.ids import row_seed
from holdfast.common.section import read
from holdfast.common.step import run
from holdfast.inference.ask import Request, ask
from holdfast.inference.params import Model, Sampling


def main() -> None:
    asked = json.load(sys.stdin)
    key = f"models.{asked['name']}"
    model = read(key, key, Model) if asked["name"] else Model(path=asked["path"], engine_args={"max_model_len": 1024})
    model = model.model_copy(update={"revision": asked["revision"]})  # the commit that the prefix was derived from
    sampling = Sampling(temperature=1.0, top_p=0.98, max_tokens=128)
    ids, stops = tuple(asked["prefix_ids"]), tuple(asked["stop_ids"])
    requests = [Request(str(k), ids, None, row_seed(0, "look", k), sampling, stops) for k in range(asked["count"])]
    texts = pl.col("text").str.strip_prefix(asked["boundary"]).str.strip_chars()
    if asked["stop_text"]:
        texts = texts.str.split(asked["stop_text"]).list.first()
    answers = ask(asked["name"] or "prefix", model, requests, len(requests), step="prefix").select(texts).collect()
    print(json.dumps(answers["text"].to_list()))


if __name__ == "__main__":
    run(main)
