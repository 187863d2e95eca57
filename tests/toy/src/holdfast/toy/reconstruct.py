"""Toy: instructions from prompts."""

from pathlib import Path

from holdfast.toy import common

from holdfast.common import section

if __name__ == "__main__":
    args = common.arguments("prompts", "instructions", "rejected")
    seed = section.value(args.params, "random_seed")
    samples = section.value(args.params, "reconstruct.samples")
    prompts = Path(args.prompts).read_text().split()
    drawn = [common.digest(seed, prompt, k) for prompt in prompts for k in range(samples)]
    common.write(args.instructions, sorted(text for text in drawn if text[0] != "0"))
    common.write(args.rejected, sorted(text for text in drawn if text[0] == "0"))
