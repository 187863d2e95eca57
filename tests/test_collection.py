"""Every test file is run: pytest skips folders by name, `build` among them unless pyproject.toml says otherwise."""

from fnmatch import fnmatch
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def test_pytest_enters_every_folder_with_tests(pytestconfig: pytest.Config) -> None:
    skipped = pytestconfig.getini("norecursedirs")
    folders = {part for file in HERE.rglob("test_*.py") for part in file.relative_to(HERE).parent.parts}
    assert not [folder for folder in sorted(folders) if any(fnmatch(folder, pattern) for pattern in skipped)]
