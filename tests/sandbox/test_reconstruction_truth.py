"""The reconstruction against the truth: what a perfect sampler, a narrow one and one that babbles would score."""

import random

import pytest

from holdfast.sandbox.reconstruction_truth import report
from holdfast.sandbox.world import world


def drawn(count: int) -> list[str]:
    truth = world()
    return random.Random(0).choices(list(truth), [one.probability for one in truth.values()], k=count)


def test_a_perfect_sampler_meets_the_truth() -> None:
    texts = drawn(4000)
    found = report(texts, sorted(set(texts)), world())
    assert found["drawn"]["precision"] == found["kept"]["precision"] == 1.0
    assert found["drawn"]["task_total_variation"] < 0.04
    covered = found["drawn"]["coverage_by_frequency_mass"]
    assert covered == pytest.approx(found["expected_coverage_of_a_perfect_sampler"], abs=0.03)
    assert found["outside_the_world"] == []
    assert sum(found["world"]["task_shares"].values()) == pytest.approx(1, abs=0.001)


def test_babble_costs_precision_only() -> None:
    texts = drawn(1000)
    found = report([*texts, *["qwertz"] * 1000], texts, world())
    assert found["drawn"]["precision"] == 0.5
    assert found["outside_the_world"] == ["qwertz"]
    assert found["drawn"]["task_shares"] == report(texts, texts, world())["drawn"]["task_shares"]


def test_nothing_but_babble_is_at_no_distance() -> None:
    """It would be 0.5, nearer than a sampler that knows a single task."""
    found = report(["qwertz"], ["qwertz"], world())["kept"]
    assert (found["task_total_variation"], found["instruction_total_variation"]) == (None, None)


def test_a_narrow_sampler_misses_tasks() -> None:
    task = next(iter(world().values())).task
    texts = [text for text, one in world().items() if one.task == task]
    found = report(texts, texts, world())["drawn"]
    share = report(texts, texts, world())["world"]["task_shares"][task]
    assert found["task_total_variation"] == pytest.approx(1 - share, abs=0.001)
    assert found["coverage_by_frequency_mass"] == pytest.approx(share, abs=0.001)
    assert found["coverage_by_frequency_mass_of_task"][task] == pytest.approx(1, abs=0.001)


def test_nothing_drawn() -> None:
    found = report([], [], world())
    assert found["drawn"]["precision"] is None
    assert found["drawn"]["task_total_variation"] is None
    assert found["drawn"]["coverage_by_frequency_mass"] == 0
