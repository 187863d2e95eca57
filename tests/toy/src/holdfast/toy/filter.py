"""Toy: what is kept. The shards do not show in the result, so a change of them stops here."""

from pathlib import Path

from holdfast.toy import common

from holdfast.common import section

if __name__ == "__main__":
    args = common.arguments("selected", many=("generations",))
    threshold = section.value(args.params, "filter.threshold")
    lines = [line.split()[1:] for path in args.generations for line in Path(path).read_text().splitlines()]
    kept = [" ".join(line) for line in lines if int(line[1][:4], 16) / 65536 >= threshold]
    common.write(args.selected, sorted(kept))
