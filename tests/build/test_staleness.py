"""Time stamps that make Snakemake see exactly what DVC's content hashes say."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.build import staleness
from holdfast.build.stages import downstream

NOW = 1_800_000_000_000_000_000
CHAIN = {
    "a": {"deps": ["seed"], "outs": ["a1", "a2"]},
    "b": {"deps": ["a1", "code"], "outs": ["b1"]},
    "c": {"deps": ["a2", "b1"], "outs": ["folder"]},
}
FILES = ["seed", "code", "a1", "a2", "b1", "folder"]


def times(folder: Path) -> dict[str, int]:
    return {name: staleness.time_ns(str(folder / name)) for name in FILES if (folder / name).exists()}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-(10**12), 10**12), min_size=6, max_size=6), st.sets(st.sampled_from(FILES), max_size=2))
def test_files_are_put_in_order(
    tmp_path_factory: pytest.TempPathFactory, offsets: list[int], missing: set[str]
) -> None:
    folder = tmp_path_factory.mktemp("order")
    for name, offset in zip(FILES, offsets, strict=True):
        if name in missing:
            continue
        path = folder / name
        if name == "folder":
            path.mkdir()
        else:
            path.touch()
        os.utime(path, ns=(NOW + offset, NOW + offset))
    before, here = times(folder), Path.cwd()
    os.chdir(folder)
    try:
        staleness.put_in_order(CHAIN, NOW)
        after = times(folder)
        staleness.put_in_order(CHAIN, NOW)
        assert times(folder) == after
    finally:
        os.chdir(here)
    assert all(at <= NOW for at in after.values())
    for stage in CHAIN.values():
        for out in stage["outs"]:
            if out in after:
                assert after[out] >= max([after[dep] for dep in stage["deps"] if dep in after], default=0)
    for name in ("seed", "code"):  # the user's own files keep their times, unless these lie in the future
        if name in before:
            assert after[name] == min(before[name], NOW)


def test_what_is_in_order_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(FILES[:-1]):
        Path(name).touch()
        os.utime(name, ns=(NOW + number, NOW + number))
    os.utime("code", ns=(NOW, NOW))
    before = {name: os.stat(name).st_ctime_ns for name in FILES[:-1]}
    time.sleep(0.01)
    staleness.put_in_order(CHAIN, NOW + 10)
    assert {name: os.stat(name).st_ctime_ns for name in FILES[:-1]} == before


def test_an_output_that_is_a_link_is_set_without_its_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cached").touch()
    os.utime("cached", ns=(NOW - 100, NOW - 100))
    Path("out").symlink_to("cached")
    Path("in").touch()
    os.utime("in", ns=(NOW, NOW))
    os.utime("out", ns=(NOW - 50, NOW - 50), follow_symlinks=False)
    staleness.put_in_order({"s": {"deps": ["in"], "outs": ["out"]}}, NOW)
    assert os.lstat("out").st_mtime_ns == NOW
    assert os.stat("cached").st_mtime_ns == NOW - 100


def test_stamps_follow_staleness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    staleness.set_stamps(["a", "gone"], stale=set(), newest=NOW)
    staleness.set_stamps(["a", "b"], stale={"b"}, newest=NOW)
    assert sorted(path.name for path in staleness.dvc_file.STAMPS.iterdir()) == ["a", "b"]
    assert (staleness.dvc_file.STAMPS / "a").stat().st_mtime_ns == staleness.FRESH_NS
    assert (staleness.dvc_file.STAMPS / "b").stat().st_mtime_ns == NOW


def test_downstream() -> None:
    assert downstream(CHAIN, ["b", "not a stage"]) == {"b", "c"}
    assert downstream(CHAIN, []) == set()


def test_stale_outputs_become_writable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "file").chmod(0o444)
    (tmp_path / "link").symlink_to("file")
    staleness.unprotect([[str(tmp_path / "link")]])
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o444
    if os.getuid():  # root may write anyway
        staleness.unprotect([[str(tmp_path / "file")]])
        assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644
