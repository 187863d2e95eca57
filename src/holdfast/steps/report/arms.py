"""The arms that are made from others, and what each arm cost."""

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from holdfast.common.arm_file import file_of
from holdfast.common.averages import BASE, all_shares
from holdfast.common.files import read_json, scan_table
from holdfast.common.section import optional
from holdfast.common.tables import GENERATIONS, SAMPLES, SCORES
from holdfast.steps.report.cost import Behind, Cost, calls_of, cost_of, later_cost


def merges(declared: str, arms: Iterable[str]) -> dict[str, dict[str, float]]:
    """`arms.<name>.merge` of the arms that are averages."""
    return _of_arms(declared, arms, "merge")


def aligned(declared: str, arms: Iterable[str]) -> dict[str, dict[str, str]]:
    """`arms.<name>.preferences` of the arms that are trained on pairs."""
    return _of_arms(declared, arms, "preferences")


def _of_arms(declared: str, arms: Iterable[str], key: str) -> dict[str, Any]:
    found = {arm: optional(declared, f"arms.{arm}.{key}", None, file_of(arm)) for arm in arms if arm != BASE}
    return {arm: value for arm, value in found.items() if value}


def preference_words(chosen: Mapping[str, str]) -> str:
    """`rehearsed + DPO on pairs of selected`."""
    return f"{chosen['arm']} + DPO on pairs of {chosen['selection']}"


def made_of(figures: Mapping[str, Any]) -> str:
    """What an arm is made of that is made from others, in words; empty for another."""
    return str(figures.get("average", figures.get("preferences", "")))


def made_from(declared: str, arms: Iterable[str]) -> dict[str, list[str]]:
    """Of each arm that is made from others these, and those that they are made from in turn."""
    arms = list(arms)
    direct = {
        arm: [part for part in all_shares(merge) if part != BASE] for arm, merge in merges(declared, arms).items()
    }
    direct |= {arm: [chosen["arm"]] for arm, chosen in aligned(declared, arms).items()}

    def behind(arm: str) -> list[str]:
        return [one for part in direct.get(arm, []) for one in (*behind(part), part)]

    return {arm: list(dict.fromkeys(behind(arm))) for arm in direct}


def costs(args: argparse.Namespace, arms: dict[str, Any]) -> dict[str, Cost]:
    """What each arm cost; `arms`: their entries in the summary, with `training` where they were trained."""
    mixtures = {Path(path).parent.name: read_json(path) for path in args.mixtures}
    names = sorted({part["source"] for mixture in mixtures.values() for part in mixture["sources"]})
    selections = {"rehearsal": "selected"}
    selections |= {name: optional(args.params, f"sources.{name}.selection", selections.get(name)) for name in names}
    used = {name: selection for name, selection in selections.items() if name in names and selection}
    paired = {arm: chosen["selection"] for arm, chosen in aligned(args.params, arms).items()}
    samples = scan_table(args.samples, SAMPLES)
    generations = pl.concat([scan_table(path, GENERATIONS) for path in args.generations])
    scores = pl.concat([scan_table(path, SCORES) for path in args.scores])
    calls = {
        name: calls_of(
            samples,
            generations,
            scores,
            {key: optional(args.params, f"filter.{name}.{key}") for key in ("models", "samples", "judges")},
        )
        for name in {*used.values(), *paired.values()}
    }
    tokens = {arm: figures.get("training", {}).get("tokens") or 0.0 for arm, figures in arms.items()}
    read = {arm: tokens[arm] for arm in paired}  # by the reference model, as many as are trained
    found = {arm: cost_of(mixtures.get(arm), tokens[arm], used, calls) for arm in arms if arm != BASE}
    for arm, parts in made_from(args.params, arms).items():
        behind = Behind(
            [mixtures[part] for part in parts if part in mixtures],
            {paired[one] for one in (*parts, arm) if one in paired},
            sum(tokens[part] for part in parts),
            sum(read.get(part, 0.0) for part in parts),
        )
        found[arm] = later_cost(behind, tokens[arm], read.get(arm, 0.0), used, calls)
    return found
