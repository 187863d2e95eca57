"""clean: keep every instruction once, and write the other samples to rejected.parquet with a reason."""

from pathlib import Path

from holdfast.chat.user_turns import user_turns
from holdfast.common.files import scan_table, write_json, write_table
from holdfast.common.section import read, value
from holdfast.common.step import arguments, run
from holdfast.common.tables import CONTAMINATION, INSTRUCTIONS, PROMPTS, REJECTED_INSTRUCTIONS, SAMPLES
from holdfast.steps.clean.instructions import clean_samples
from holdfast.steps.clean.params import Clean
from holdfast.text.benchmark_items import suite_items


def main() -> None:
    names = ("prompts", "samples", "instructions", "rejected", "contamination", "metrics")
    args = arguments(__doc__, *names, many=("harness",))
    clean = read(args.params, "clean", Clean)
    suites = {key.split(".")[2]: value(args.params, key) for key in args.params.split(",") if key.endswith(".path")}
    fields = clean.contamination.fields
    items = [item for name in sorted(suites) for item in suite_items(name, suites[name], fields)]
    items += [item for path in sorted(args.harness) for item in suite_items(Path(path).stem, path, ["prompt"])]
    items += [item for path in sorted(clean.contamination.benchmarks) for item in suite_items(path, path, fields)]
    turns = user_turns(scan_table(args.samples, SAMPLES), scan_table(args.prompts, PROMPTS)).collect()
    instructions, rejected, found, metrics = clean_samples(turns, items, clean)
    write_table(instructions, args.instructions, INSTRUCTIONS)
    write_table(rejected, args.rejected, REJECTED_INSTRUCTIONS)
    write_table(found, args.contamination, CONTAMINATION)
    write_json(metrics, args.metrics)
    counts = ", ".join(f"{n} {reason}" for reason, n in metrics["counts"]["rejected"].items())
    print(f"clean: {len(turns)} samples, {len(instructions)} instructions; rejected: {counts or 'none'}", flush=True)


if __name__ == "__main__":
    run(main)
