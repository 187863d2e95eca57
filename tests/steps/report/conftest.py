"""A made-up build with its report."""

from pathlib import Path

import pytest
import yaml

from report_build import build
from report_data import write_chain


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The build's folder. Not to be changed."""
    root = tmp_path_factory.mktemp("build")
    write_chain(root, size=30, general=500, domain=200)
    params = {
        "base": "base",
        "report": {"limits": {"general_loss": 5.0, "domain_gain": 50.0}, "gated": ["rehearsed"]},
        "evaluate": {
            "suites": {
                name: {"kind": "exact", "path": f"{name}.jsonl", "measures": name} for name in ("general", "domain")
            }
        },
        "train": {"budget": {"steps": 150}},
        "arms": {"public": {"train": {"learning_rate": 0.0002, "axolotl": {"optimizer": "lion"}}}},
    }
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    done = build(root)
    assert done.returncode == 0, done.stderr
    return root
