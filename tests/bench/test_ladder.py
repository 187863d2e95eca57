"""The bench that rebuilds the paper's table over seeds."""

import sys
from pathlib import Path

import pytest
import yaml

from holdfast.params.cross_checks import cross_faults
from holdfast.params.schema import Params

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import ladder  # noqa: E402


def test_its_parameters_are_valid_and_differ_in_seeds_and_arms_only() -> None:
    shipped = yaml.safe_load((ROOT / "params.yaml").read_text())
    params = ladder.ladder(shipped, 3)
    assert list(cross_faults(Params.model_validate(yaml.safe_load(yaml.safe_dump(params))))) == []
    assert (params["random_seed"], params["sandbox"]["seed"]) == (3, 3)
    assert set(ladder.RUNGS) - {"base"} <= set(params["arms"])
    changed = {key for key in shipped if params[key] != shipped[key]}
    assert changed == {"random_seed", "sandbox", "filter", "sources", "arms"}


def test_the_table_has_every_rung_and_pairs_by_seed() -> None:
    """Worlds differ more than arms within a world: only the paired difference is certain."""
    arms = [*ladder.RUNGS, *(f"share_{100 * part:.0f}" for part in ladder.SWEEP)]

    def accuracy(arm: str, seed: int) -> dict[str, float]:
        return {"accuracy": 0.5 + 0.1 * seed + (0.1 + 0.001 * seed) * (arm == "rehearsed")}

    summaries = [{arm: dict.fromkeys(("general", "domain"), accuracy(arm, seed)) for arm in arms} for seed in range(5)]
    lines = ladder.table(summaries).splitlines()
    assert sum(line.startswith(f"| {what} |") for line in lines for what, _ in ladder.RUNGS.values()) >= len(
        ladder.RUNGS
    )
    (paired,) = [
        line
        for line in lines
        if line.startswith(f"| {ladder.RUNGS['ladder_1xl'][0]} | {ladder.RUNGS['rehearsed'][0]} |")
    ]
    assert "| 10.2 (10.0 to 10.4) | < 0.001 |" in paired
    assert any(line.startswith("| 0.83 | 10.2") for line in lines)


def test_a_single_seed_has_no_interval() -> None:
    with pytest.raises(SystemExit, match="at least two seeds"):
        ladder.seeds_of(["folder", "0"])
