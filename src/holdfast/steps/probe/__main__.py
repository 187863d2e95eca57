"""probe: the log-probability of every selected answer, by the base model or by a trained arm.

Writes data/probe/<selection>/<model>.parquet (columns of `PROBES`). Two of these show which answers an arm has
forgotten, for sources with `draw: damage`.
"""

import polars as pl

from holdfast.common.files import scan_table, write_table
from holdfast.common.probe_table import PROBES
from holdfast.common.step import arguments, run
from holdfast.common.tables import SELECTED
from holdfast.common.wording import counted
from holdfast.inference.arm_models import read_arm_model
from holdfast.inference.ask import ask
from holdfast.steps.probe.requests import requests


def main() -> None:
    args = arguments(__doc__, "arm", "model", "selected", "table")
    model = read_arm_model(args.params, args.model)
    selected = scan_table(args.selected, SELECTED)
    rows = selected.select(pl.len()).collect().item()
    answers = ask(args.arm, model, requests(selected), rows, step="probe").collect()
    table = answers.select(
        candidate_id="id",
        logprob=pl.when(pl.col("error").is_null()).then(pl.col("logprobs").list.first()),
        tokens=pl.when(pl.col("error").is_null()).then("output_tokens"),
        error="error",
    )
    write_table(table, args.table, PROBES)
    mean = table.select((pl.col("logprob") / pl.col("tokens")).exp().mean()).item() or 0.0
    print(f"probe {args.arm}: {counted(rows, 'answer')}, mean probability of a token {mean:.2f}", flush=True)


if __name__ == "__main__":
    run(main)
