"""A run that is as long as `budget.domain_epochs` says: so many passes over the domain rows of its mixture."""

import json
from collections.abc import Iterable
from typing import Any

_KEY = "holdfast"  # in recipe.yaml: what Holdfast itself reads; Axolotl does not see it


def with_domain_source(recipe: dict[str, Any], source: str) -> dict[str, Any]:
    """`recipe`, whose `num_epochs` count passes over the rows of `source`."""
    return recipe | {_KEY: {"num_epochs_over": source}}


def by_mixture(recipe: dict[str, Any], lines: Iterable[str]) -> dict[str, Any]:
    """The recipe for Axolotl: `num_epochs` over the mixture, whose rows are `lines` of JSON.

    They differ where the mixture repeats rows of the source. A mixture without rows of it, and a recipe whose epochs
    are over the mixture, keep their number.
    """
    own = {key: value for key, value in recipe.items() if key != _KEY}
    if (source := recipe.get(_KEY, {}).get("num_epochs_over")) is None:
        return own
    ids = [row["row_id"] for row in map(json.loads, lines) if row["source"] == source]
    return own | {"num_epochs": recipe["num_epochs"] * len(set(ids)) / len(ids)} if ids else own


def budget_of(recipe: dict[str, Any]) -> str:
    """Which of the budgets sets the length of a run."""
    if recipe.get(_KEY):
        return "domain_epochs"
    return "steps" if "max_steps" in recipe else "epochs"
