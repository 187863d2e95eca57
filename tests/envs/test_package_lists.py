"""The committed package lists of the pinned environments."""

import re
from pathlib import Path

import pytest

ENVS = Path(__file__).parents[2] / "envs"


def pins(path):
    return [line for line in path.read_text().splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("path", sorted(ENVS.glob("*.in")), ids=lambda path: path.stem)
def test_lists_are_complete_and_portable(path):
    listed = pins(path.with_suffix(".txt"))
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in listed)  # no hosts, no local builds
    names = {line.split("==")[0] for line in listed}
    for line in pins(path):
        name, *version = re.sub(r"\[.*\]", "", line).split("==")
        if line and line[0].isalpha():
            plain = re.split(r"[<>=]", name)[0].lower().replace("_", "-").replace(".", "-")
            assert plain in names
            assert not version or f"{plain}=={version[0]}" in listed


def test_dev_is_core_and_more():
    assert set(pins(ENVS / "core.txt")) < set(pins(ENVS / "dev.txt"))
    assert not any(line.startswith(("torch==", "vllm")) for line in pins(ENVS / "dev.txt"))
