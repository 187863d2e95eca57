"""generate: one committee model answers every instruction."""

import polars as pl

from holdfast.common.files import scan_table, write_table
from holdfast.common.section import read, value
from holdfast.common.step import arguments, run
from holdfast.common.tables import GENERATIONS, INSTRUCTIONS, REJECTED_GENERATIONS
from holdfast.inference.ask import ask
from holdfast.inference.fingerprint import read_model
from holdfast.steps.generate.candidates import candidates, requests, split
from holdfast.steps.generate.params import Generate


def main() -> None:
    args = arguments(__doc__, "model", "instructions", "generations", "rejected")
    generate = read(args.params, "generate", Generate)
    model = read_model(args.params, args.model)
    sampling = generate.models[args.model].over(generate.sampling)
    instructions = scan_table(args.instructions, INSTRUCTIONS)
    rows = candidates(instructions, args.model, generate.samples)
    asking = requests(instructions, args.model, generate.samples, sampling, value(args.params, "random_seed"))
    answers = ask(
        args.model,
        model,
        asking,
        rows.select(pl.len()).collect().item(),
        step="generate",
        output=args.generations,
        text_column="response",
    )
    kept, rejected = split(rows, answers)
    write_table(kept, args.generations, GENERATIONS)
    write_table(rejected, args.rejected, REJECTED_GENERATIONS)


if __name__ == "__main__":
    run(main)
