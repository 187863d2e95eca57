"""dvc.lock is read as DVC reads it and written as DVC writes it."""

from pathlib import Path

import pytest
from dvc.utils.serialize import dumps_yaml, loads_yaml
from hypothesis import given
from hypothesis import strategies as st

from holdfast.build import dvc_lock
from holdfast.common.errors import UserError

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.sampled_from(
        ["yes", "off", "010", "1e3", "12:30", "1_000", "2026-11-25", "~", "null", "=", "<<", ".5", "0x1F"]
    )
)
KEYS = st.text("abcxyz.", min_size=1, max_size=6)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))
ENTRIES = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True),
    st.fixed_dictionaries({"cmd": st.text(min_size=1), "params": st.dictionaries(KEYS, VALUES, max_size=3)}),
    min_size=1,
    max_size=4,
)


@given(ENTRIES, ENTRIES)
def test_what_is_put_is_what_dvc_would_write(
    tmp_path_factory: pytest.TempPathFactory, before: dict[str, dvc_lock.Entry], after: dict[str, dvc_lock.Entry]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("lock"))
        Path("dvc.lock").write_text(dumps_yaml({"schema": "2.0", "stages": before}), encoding="utf-8")
        lock = dvc_lock.DvcLock()
        assert lock.entries == loads_yaml(Path("dvc.lock").read_text(encoding="utf-8"))["stages"]
        for name, entry in after.items():
            lock.put(name, entry)
        text = Path("dvc.lock").read_text(encoding="utf-8")
        assert text == dumps_yaml({"schema": "2.0", "stages": before | after})
        assert dvc_lock.DvcLock().entries == loads_yaml(text)["stages"]


def test_what_others_wrote_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one, other = dvc_lock.DvcLock(), dvc_lock.DvcLock()
    one.put("a", {"cmd": "x"})
    other.put("b", {"cmd": "y"})
    one.put("c", {"cmd": "z"})
    assert set(dvc_lock.DvcLock().entries) == {"a", "b", "c"}


def test_a_conflict_of_git_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dvc.lock").write_text("schema: '2.0'\nstages:\n<<<<<<< HEAD\n  a:\n    cmd: x\n=======\n>>>>>>> b\n")
    with pytest.raises(UserError, match=r"dvc.lock: not valid YAML"):
        dvc_lock.DvcLock()
