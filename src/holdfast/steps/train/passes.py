"""A run that is as long as `budget.domain_epochs` says: so many passes over the domain rows of its mixture."""

import json
import math
from collections.abc import Iterable
from typing import Any

_KEY = "holdfast"  # in recipe.yaml: what Holdfast itself reads; Axolotl does not see it


def with_domain_source(recipe: dict[str, Any], source: str) -> dict[str, Any]:
    """`recipe`, whose `num_epochs` count passes over the rows of `source`."""
    return recipe | {_KEY: {"num_epochs_over": source}}


def by_mixture(recipe: dict[str, Any], lines: Iterable[str], processes: int = 1) -> dict[str, Any]:
    """The recipe for Axolotl: `num_epochs` over the mixture, whose rows are `lines` of JSON.

    They differ where the mixture repeats rows of the source. A mixture without rows of it has as many epochs as the
    recipe says; so has a recipe whose epochs are over the mixture.
    """
    own = {key: value for key, value in recipe.items() if key != _KEY}
    if (source := recipe.get(_KEY, {}).get("num_epochs_over")) is None:
        return own
    rows, ids = 0, []
    for row in map(json.loads, lines):
        rows += 1
        ids += [row["row_id"]] if row["source"] == source else []
    epochs = recipe["num_epochs"] * (len(set(ids)) / len(ids) if ids else 1)
    if not recipe.get("sample_packing"):
        batch = recipe["micro_batch_size"] * recipe["gradient_accumulation_steps"] * processes
        epochs = _to_the_last_batch(epochs, rows, batch)
    return own | {"num_epochs": epochs}


def _to_the_last_batch(epochs: float, rows: int, batch: int) -> float:
    """The `num_epochs` with which Axolotl takes all steps of `epochs` epochs.

    Axolotl stops after ceil(rows * num_epochs / batch) steps. But the last batch of each epoch, with fewer rows, is a
    step as well, so that it stops short: with few rows by as much as a tenth.
    """
    steps = max(1, math.ceil(round(epochs * math.ceil(rows / batch), 6)))
    return (steps - 0.5) * batch / rows  # in the middle, so that rounding of floats adds no step


def budget_of(recipe: dict[str, Any]) -> str:
    """Which of the budgets sets the length of a run."""
    if recipe.get(_KEY):
        return "domain_epochs"
    return "steps" if "max_steps" in recipe else "epochs"
