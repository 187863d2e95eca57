"""Do targeted draws keep as much with half of the rehearsal? envs/in-env core python bench/draws.py FOLDER [SEED...]

Builds the sandbox once per seed (0 to 4 unless told otherwise) in FOLDER/<seed>, each a clone of this checkout with a
world, models, samples and draws of its own, up to the evaluations of the arms below, and prints Markdown tables. What
is built already is only read. Letters of arms: u `draw: uniform`, b `balanced`, d `damage`; numbers: per cent of the
mixture's tokens that are rehearsal; e: as many passes over the domain rows as u83 has, where the others have its steps.

The question, fixed before the first build: does an arm with 70 % (0.48 of the rehearsal tokens of u83) reach u83's
general accuracy? Its difference to u83, paired by seed, with a 95 % interval of Student's t over seeds: "not reached"
if all of the interval is below 0; "reached" if the mean is 0 or more and the lower end above -5 points (the shipped
limit of a loss); otherwise "undecided". The second interval is over the test items of these seeds alone.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml
from ladder import mean, over_seeds, seeds_of

from holdfast.steps.report.statistics import holm, paired_score

ROOT = Path(__file__).resolve().parents[1]
PROBE = "forgetful"
SOURCES = {"u": "rehearsal", "b": "even", "d": "forgotten"}  # letter of an arm: the source of its rehearsal
TARGETED = {
    "even": {"selection": "selected", "draw": "balanced", "clusters": 30},
    "forgotten": {"selection": "selected", "draw": "damage", "probe": PROBE},
}
ROUNDS = (  # the first answers the question
    ("domain_only", "u83", "u70", "d70", "b70"),
    ("u70e", "d70e", "b70e"),
    ("u50", "d50", "b50"),
)
PASSES = 6.7  # of u83 over its domain rows, in 160 steps
COMPARED = [  # general accuracy of the first less the second
    *[(arm, "u83") for arm in ("d70", "b70", "u70", "d70e", "b70e", "u70e", "d50", "b50", "u50")],
    *[("d70", "u70"), ("b70", "u70"), ("d70e", "u70e"), ("b70e", "u70e"), ("d50", "u50"), ("b50", "u50")],
    ("u83", "base"),
]


def draws(params: dict[str, Any], seed: int) -> dict[str, Any]:
    """The sandbox's parameters with both seeds set, and the arms of `ROUNDS` and the probing arm for arms."""
    arms: dict[str, Any] = {
        "domain_only": {"sources": {"domain": 1.0}},
        PROBE: {"sources": {"domain": 1.0}, "train": {"budget": {"steps": 40}}},
    }
    for name in (arm for names in ROUNDS for arm in names if arm not in arms):
        share = int(name[1:3]) / 100
        arms[name] = {"sources": {SOURCES[name[0]]: share, "domain": round(1 - share, 2)}, "unit": "tokens"}
        if name.endswith("e"):
            arms[name]["train"] = {"budget": {"domain_epochs": PASSES}}
    return params | {
        "random_seed": seed,
        "sandbox": params["sandbox"] | {"seed": seed},
        "sources": params["sources"] | TARGETED,
        "arms": arms,
        "report": params["report"] | {"gated": ["u83"]},
    }


def build(folder: Path, seed: int, arms: tuple[str, ...]) -> None:
    """Evaluate the base model and these arms in a clone of this checkout."""
    if not folder.exists():
        subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
        params = folder / "params.yaml"
        params.write_text(yaml.safe_dump(draws(yaml.safe_load(params.read_text()), seed), sort_keys=False))
    wanted = [f"metrics/{arm}.json" for arm in ("base", *arms)]
    if not all((folder / file).exists() for file in wanted):
        subprocess.run([folder / "envs" / "in-env", "core", "snakemake", "--", *wanted], cwd=folder, check=True)


def rehearsal(folder: Path, arm: str) -> tuple[int, int]:
    """Rows and tokens of rehearsal in an arm's mixture, validation rows included."""
    parts = [pl.read_parquet(folder / f"data/mix/{arm}/{part}.parquet") for part in ("train", "val")]
    tokens = pl.concat([part.select("source", "tokens") for part in parts]).filter(pl.col("source") != "domain")[
        "tokens"
    ]
    return len(tokens), int(tokens.sum())


def answers(folder: Path, suite: str) -> dict[str, pl.DataFrame]:
    """For the base model and each arm that is evaluated: item_id and whether it is right."""
    names = ["base", *(arm for names in ROUNDS for arm in names)]
    files = {name: folder / f"data/evaluate/{name}.parquet" for name in names}
    return {
        name: pl.read_parquet(file).filter(pl.col("suite") == suite).select("item_id", pl.col("correct").cast(pl.Int8))
        for name, file in files.items()
        if file.exists()
    }


def changes(first: pl.DataFrame, second: pl.DataFrame) -> pl.Series:
    """1, 0 or -1 for each item: right in the first only, as in the second, or wrong in the first only."""
    joined = first.join(second, on="item_id", validate="1:1", suffix="_second")
    assert joined.height == first.height == second.height
    return joined["correct"] - joined["correct_second"]


def arms_table(folders: list[Path]) -> list[str]:
    """General and domain accuracy of every arm that all folders have, by seed, and the size of its rehearsal."""
    general, domain = ([answers(folder, suite) for folder in folders] for suite in ("general", "domain"))
    lines = ["| arm | rehearsal rows | rehearsal tokens | general, % (by seed) | domain, % |", "|---|---|---|---|---|"]
    for arm in (name for name in general[0] if all(name in world for world in general)):
        right = [float(np.mean(world[arm]["correct"].to_numpy())) for world in general]
        learned = [float(np.mean(world[arm]["correct"].to_numpy())) for world in domain]
        sizes = [rehearsal(folder, arm) if arm[0] in SOURCES and arm[1:3].isdigit() else (0, 0) for folder in folders]
        rows, tokens = (f"{np.mean(column):,.0f}" for column in zip(*sizes, strict=True))
        single = " ".join(f"{100 * value:.1f}" for value in right)
        lines.append(f"| `{arm}` | {rows} | {tokens} | {mean(right)}: {single} | {100 * np.mean(learned):.1f} |")
    return lines


def comparisons_table(folders: list[Path]) -> list[str]:
    """Differences between arms in points: over seeds, p by Holm for all rows, and over the items of these seeds."""
    general = [answers(folder, "general") for folder in folders]
    pairs = [pair for pair in COMPARED if all(set(pair) <= set(world) for world in general)]
    changed = {pair: [changes(world[pair[0]], world[pair[1]]) for world in general] for pair in pairs}
    means = {pair: [float(np.mean(each.to_numpy())) for each in worlds] for pair, worlds in changed.items()}
    adjusted = holm([over_seeds(values)[2] for values in means.values()])
    lines = ["| difference | over seeds | p | by seed | over items of these seeds |", "|---|---|---|---|---|"]
    for (pair, worlds), p in zip(changed.items(), adjusted, strict=True):
        every = pl.concat(worlds).to_numpy()
        low, high = paired_score(float((every < 0).sum()), float((every > 0).sum()), len(every), 0.95)
        single = " ".join(f"{100 * value:+.1f}" for value in means[pair])
        shown = f"{mean(means[pair])} | {p:.3f} | {single} | {100 * low:.1f} to {100 * high:.1f} |"
        lines.append(f"| `{pair[0]}` less `{pair[1]}` | {shown}".replace("-", "\N{MINUS SIGN}"))
    return lines


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    seeds = seeds_of(sys.argv[1:])
    for arms in ROUNDS:
        for seed in seeds:
            build(folder / str(seed), seed, arms)
    folders = [folder / str(seed) for seed in seeds]
    print("\n".join([*arms_table(folders), "", *comparisons_table(folders)]))


if __name__ == "__main__":
    main()
