"""`train.budget: {domain_epochs: N}`: how many epochs of a mixture are N passes over its domain rows."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.steps.train.passes import budget_of, by_mixture, with_domain_source

COPIES = st.lists(st.integers(1, 3), min_size=1, max_size=20)  # of each row
PACKED = {"num_epochs": 2.0, "sample_packing": True}


def lines(source, copies):
    rows = [{"source": source, "row_id": f"{source} {i}"} for i, n in enumerate(copies) for _ in range(n)]
    return [json.dumps(row) for row in rows]


@given(passes=st.floats(0.1, 50), domain=COPIES, other=COPIES)
def test_every_domain_row_is_seen_so_often_on_average(passes, domain, other):
    recipe = with_domain_source(PACKED | {"num_epochs": passes}, "domain")
    made = by_mixture(recipe, lines("rehearsal", other) + lines("domain", domain))
    assert made.keys() == PACKED.keys(), "Axolotl knows no other keys"
    assert made["num_epochs"] * sum(domain) / len(domain) == pytest.approx(passes)


@given(
    passes=st.integers(1, 40),
    rows=st.integers(1, 3000),
    micro=st.integers(1, 16),
    accumulated=st.integers(1, 4),
    gpus=st.integers(1, 8),
)
def test_the_last_batch_of_every_epoch_is_trained_on(passes, rows, micro, accumulated, gpus):
    recipe = {"num_epochs": passes, "micro_batch_size": micro, "gradient_accumulation_steps": accumulated}
    made = by_mixture(with_domain_source(recipe, "domain"), lines("domain", [1] * rows), gpus)
    batch = micro * accumulated * gpus
    steps = math.ceil(rows * made["num_epochs"] / batch)  # Axolotl's calculate_total_num_steps
    assert steps == passes * math.ceil(rows / batch)


def test_other_budgets_and_mixtures_without_the_source_keep_their_epochs():
    mixture = lines("rehearsal", [1, 2])
    assert by_mixture(with_domain_source(PACKED, "domain"), mixture) == PACKED
    assert by_mixture(PACKED, mixture) == PACKED


def test_the_budget_of_a_run_is_told_by_its_recipe():
    assert budget_of(with_domain_source({"num_epochs": 2.0}, "domain")) == "domain_epochs"
    assert budget_of({"num_epochs": 1, "max_steps": 5}) == "steps"
    assert budget_of({"num_epochs": 1}) == "epochs"
