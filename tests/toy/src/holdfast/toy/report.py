"""Toy: a figure per arm, and what `holdfast check` and `holdfast summary` read."""

import json
from pathlib import Path

from holdfast.toy import common

from holdfast.steps.report.params import Report

if __name__ == "__main__":
    args = common.arguments("summary", many=("models",))
    arms = {Path(path).name: {"rows": int(Path(path, "tokenizer/vocabulary.txt").read_text())} for path in args.models}
    summary = {"arms": {"base": {}, **arms}} | Report().model_dump(mode="json")
    common.write(args.summary, [json.dumps(summary)])
