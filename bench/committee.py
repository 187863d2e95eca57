"""Was the committee worth it, over several sandboxes? envs/in-env core python bench/committee.py FOLDER [SEED...]

Builds the sandbox up to the filter room once per seed (0 to 4 unless told otherwise) in FOLDER/<seed>, each a clone of
this checkout with models, samples and choices of its own, and prints the accuracy of the kept answer as a table: the
mean over seeds with a 95 % interval (Student's t over seeds). A folder that is built already is only read, those of
bench/ladder.py too.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import scipy.stats
import yaml

from holdfast.common.files import scan_table
from holdfast.common.tables import GENERATIONS, INSTRUCTIONS, SCORES
from holdfast.sandbox.committee_truth import report

ROOT = Path(__file__).resolve().parents[1]
WANTED = "metrics/filter.json"


def build(folder: Path, seed: int) -> None:
    """A clone of this checkout with both seeds set, built up to the filter room."""
    if (folder / WANTED).exists():
        return
    if not folder.exists():
        subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    params = folder / "params.yaml"
    text = re.sub(r"(?m)^random_seed: \d+", f"random_seed: {seed}", params.read_text())
    params.write_text(re.sub(r"(?m)^(sandbox:\n(?:  .*\n)*?  seed: )\d+", rf"\g<1>{seed}", text))
    values = yaml.safe_load(params.read_text())
    assert (values["random_seed"], values["sandbox"]["seed"]) == (seed, seed)
    subprocess.run([folder / "envs" / "in-env", "core", "snakemake", "--", WANTED], cwd=folder, check=True)


def measure(folder: Path) -> dict:
    params = yaml.safe_load((folder / "params.yaml").read_text())
    models, judges = params["generate"]["models"], params["score"]["judges"]
    return report(
        scan_table(folder / "data/clean/instructions.parquet", INSTRUCTIONS),
        pl.concat([scan_table(folder / f"data/generate/{model}.parquet", GENERATIONS) for model in models]),
        {judge: scan_table(folder / f"data/score/{judge}.parquet", SCORES) for judge in judges},
        params["base"],
        params["random_seed"],
    )


def over_seeds(values: list[float | None]) -> str:
    """Mean and 95 % interval, and the single values."""
    found = np.array([value for value in values if value is not None])
    if not len(found):
        return "none"
    single = " ".join(f"{value:.3f}" for value in found)
    if len(found) == 1:
        return f"{single} | {single}"
    width = scipy.stats.t.ppf(0.975, len(found) - 1) * found.std(ddof=1) / len(found) ** 0.5
    return f"{found.mean():.3f} ({found.mean() - width:.3f} to {found.mean() + width:.3f}) | {single}"


def main() -> None:
    folder, seeds = Path(sys.argv[1]), [int(seed) for seed in sys.argv[2:]] or list(range(5))
    found = []
    for seed in seeds:
        build(folder / str(seed), seed)
        found.append(measure(folder / str(seed)))
        (folder / f"{seed}.json").write_text(json.dumps(found[-1], indent=2))
    print(f"\ninstructions of the true world: {' '.join(str(one['instructions']) for one in found)}")
    print("\n| kept answer is right | mean over seeds (95 %) | single seeds |\n|---|---|---|")
    for name in found[0]["accuracy"]:
        print(f"| {name} | {over_seeds([one['accuracy'][name]['mean'] for one in found if name in one['accuracy']])} |")
    print("\n| committee (mean) minus | mean over seeds (95 %) | single seeds |\n|---|---|---|")
    for name in found[0]["committee_minus"]:
        print(f"| {name} | {over_seeds([one['committee_minus'][name]['mean'] for one in found])} |")
    print(
        "\n| judge puts the right answer above the wrong one | mean over seeds (95 %) | single seeds |\n|---|---|---|"
    )
    for name in found[0]["judges_tell_right_from_wrong"]:
        print(f"| {name} | {over_seeds([one['judges_tell_right_from_wrong'][name] for one in found])} |")


if __name__ == "__main__":
    main()
