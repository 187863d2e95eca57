"""Toy: one model's answers."""

from pathlib import Path

from holdfast.toy import common

from holdfast.common import section

if __name__ == "__main__":
    args = common.arguments("model", "instructions", "generations")
    seed = section.value(args.params, "random_seed")
    shards = section.value(args.params, "generate.shards")
    temperature = section.value(args.params, f"generate.models.{args.model}.temperature")
    lines = Path(args.instructions).read_text().split()
    answers = [f"{line} {common.digest(seed, args.model, temperature, line)}" for line in lines]
    common.write(args.generations, [f"{shards} {answer}" for answer in answers])
