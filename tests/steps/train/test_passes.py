"""`train.budget: {domain_epochs: N}`: how many epochs of a mixture are N passes over its domain rows."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.steps.train.passes import budget_of, by_mixture, with_domain_source

COPIES = st.lists(st.integers(1, 3), min_size=1, max_size=20)  # of each row


def lines(source, copies):
    rows = [{"source": source, "row_id": f"{source} {i}"} for i, n in enumerate(copies) for _ in range(n)]
    return [json.dumps(row) for row in rows]


@given(passes=st.floats(0.1, 50), domain=COPIES, other=COPIES)
def test_every_domain_row_is_seen_so_often_on_average(passes, domain, other):
    recipe = with_domain_source({"num_epochs": passes, "seed": 1}, "domain")
    made = by_mixture(recipe, lines("rehearsal", other) + lines("domain", domain))
    assert made.keys() == {"num_epochs", "seed"}, "Axolotl knows no other keys"
    assert made["num_epochs"] * sum(domain) / len(domain) == pytest.approx(passes)


def test_other_budgets_and_mixtures_without_the_source_keep_their_epochs():
    mixture = lines("rehearsal", [1, 2])
    assert by_mixture(with_domain_source({"num_epochs": 2.0}, "domain"), mixture) == {"num_epochs": 2.0}
    assert by_mixture({"num_epochs": 2.0}, mixture) == {"num_epochs": 2.0}


def test_the_budget_of_a_run_is_told_by_its_recipe():
    assert budget_of(with_domain_source({"num_epochs": 2.0}, "domain")) == "domain_epochs"
    assert budget_of({"num_epochs": 1, "max_steps": 5}) == "steps"
    assert budget_of({"num_epochs": 1}) == "epochs"
