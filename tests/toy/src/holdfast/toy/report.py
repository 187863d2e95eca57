"""Toy: a figure per arm."""

import json
from pathlib import Path

from holdfast.toy import common

if __name__ == "__main__":
    args = common.arguments("summary", many=("models",))
    figures = {Path(path).name: int(Path(path, "tokenizer/vocabulary.txt").read_text()) for path in args.models}
    common.write(args.summary, [json.dumps(figures)])
