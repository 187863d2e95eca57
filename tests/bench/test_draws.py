"""The bench that compares draws over seeds."""

import sys
from pathlib import Path

import polars as pl
import yaml

from holdfast.params.cross_checks import cross_faults
from holdfast.params.schema import Params

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import draws  # noqa: E402


def test_its_parameters_are_valid() -> None:
    shipped = yaml.safe_load((ROOT / "params.yaml").read_text())
    params = draws.draws(shipped, 3)
    assert list(cross_faults(Params.model_validate(yaml.safe_load(yaml.safe_dump(params))))) == []
    assert (params["random_seed"], params["sandbox"]["seed"]) == (3, 3)
    assert params["arms"]["d70"] == {"sources": {"forgotten": 0.7, "domain": 0.3}, "unit": "tokens"}


def test_the_tables_pair_by_seed_and_count_rehearsal_only(tmp_path: Path) -> None:
    """Arm d70 knows two of ten items less than u83 in the first world, and one less in the second."""
    right = {"base": (10, 9), "u83": (9, 8), "d70": (7, 7)}
    folders = [tmp_path / str(seed) for seed in range(2)]
    for seed, folder in enumerate(folders):
        (folder / "data/evaluate").mkdir(parents=True)
        for arm, correct in right.items():
            item = [f"{number}" for number in range(10)]
            rows = {"item_id": item, "suite": "general", "correct": [number < correct[seed] for number in range(10)]}
            table = pl.DataFrame(rows)
            pl.concat([table, table.with_columns(suite=pl.lit("domain"))]).write_parquet(
                folder / f"data/evaluate/{arm}.parquet"
            )
            (folder / f"data/mix/{arm}").mkdir(parents=True)
            for part in ("train", "val"):
                pl.DataFrame({"source": ["domain", "rehearsal"], "tokens": [20, 7 + seed]}).write_parquet(
                    folder / f"data/mix/{arm}/{part}.parquet"
                )
    (arm,) = [line for line in draws.arms_table(folders) if line.startswith("| `d70` ")]
    assert arm.startswith("| `d70` | 2 | 15 | 70.0 (70.0 to 70.0): 70.0 70.0 |")
    (pair,) = [line for line in draws.comparisons_table(folders) if line.startswith("| `d70` less `u83` ")]
    assert "| −15.0 (" in pair
    assert "| −20.0 −10.0 |" in pair
