"""Toy: a folder made from a share of the selected lines."""

from pathlib import Path

from holdfast.toy import common

from holdfast.common import section

if __name__ == "__main__":
    args = common.arguments("arm", "selected", "model")
    share = section.value(args.params, f"arms.{args.arm}.share")
    lines = Path(args.selected).read_text().splitlines()
    kept = lines[: round(share * len(lines))]
    common.write(f"{args.model}/weights.txt", [common.digest(*kept)])
    common.write(f"{args.model}/tokenizer/vocabulary.txt", [str(len(kept))])
