"""How often a run logs its loss, and the curve that it leaves."""

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.steps.train.loss_curve import FEWEST_POINTS, steps_between_logs
from training import finish, make_recipe, start


@given(st.integers(1, 100_000), st.none() | st.integers(1, 100_000))
def test_every_run_logs_at_least_ten_losses_or_all_of_them(steps, wanted):
    every = steps_between_logs(steps, wanted)
    assert steps // every >= min(steps, FEWEST_POINTS)
    assert wanted is None or every <= wanted
    assert wanted is not None or steps // every <= 100


@pytest.mark.engine
@pytest.mark.parametrize(
    "recipe",
    [
        {"packing": True, "gradient_accumulation_steps": 2, "budget": {"epochs": 3.0}},
        {"gradient_accumulation_steps": 4, "budget": {"epochs": 2.0}},
        {"budget": {"steps": 15}, "axolotl": {"logging_steps": 25}},
    ],
)
def test_a_short_run_leaves_a_loss_curve_whatever_decides_its_steps(mixture, recipe):
    """63 rows in batches of 4: packing and accumulation leave far fewer steps than rows / 4."""
    make_recipe(mixture, **recipe)
    finish(start(mixture, "forms"), mixture)
    steps = json.loads(Path("models/forms/holdfast.json").read_text())["steps"]
    assert 0 < steps <= 16
    assert pl.read_csv("plots/forms.csv")["loss"].drop_nulls().len() == steps
