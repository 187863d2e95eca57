"""reconstruct: sample user turns from the base model, which continues its pre-query prefix."""

from holdfast.common.files import write_table
from holdfast.common.step import arguments, run
from holdfast.common.tables import SAMPLES
from holdfast.common.wording import counted
from holdfast.steps.reconstruct.sampling import sample_all


def main() -> None:
    args = arguments(__doc__, "prompts", "samples")
    samples = sample_all(args, args.samples)
    write_table(samples, args.samples, SAMPLES)
    print(f"reconstruct: {counted(len(samples), 'sample')}", flush=True)


if __name__ == "__main__":
    run(main)
