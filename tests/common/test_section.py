"""A job reads what its rule declares of params.yaml, and nothing else."""

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from holdfast.common.errors import UserError
from holdfast.common.section import Section, look_up, optional, read, undeclared_value, value


class Inner(Section):
    low: int = Field(1)
    high: int = Field(2)
    tags: list[str] = Field([])


class Outer(Section):
    samples: int = Field(2)
    inner: Inner = Field(Inner())
    models: dict[str, Inner] = Field({})
    free: dict[str, Any] = Field({})
    parts: list[Inner] = Field([])


VALUES = {
    "outer": {
        "samples": 99,
        "inner": {"low": 98, "high": 97, "tags": ["a"]},
        "models": {"a": {"low": 96, "high": 95}, "b": {"low": 94}},
        "free": {"x": 93, "y": {"z": 92}},
        "parts": [{"low": 91}],
    },
    "other": {"samples": 90},
}


@pytest.fixture(autouse=True)
def _file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(VALUES)


def write(values: Any) -> None:
    Path("params.yaml").write_text(yaml.safe_dump(values))


def test_what_is_not_declared_cannot_be_read() -> None:
    outer = read("outer.inner.low,outer.models.a", "outer", Outer)
    assert (outer.inner.low, outer.models["a"].high) == (98, 95)
    for undeclared in (
        lambda: outer.samples,
        lambda: getattr(outer, "samples", 2),
        lambda: outer.inner.high,
        lambda: outer.inner.tags,
        lambda: outer.free,
        lambda: outer.parts,
        lambda: outer.models["b"],
        lambda: outer.models.get("b"),
        lambda: "b" in outer.models,
    ):
        with pytest.raises(AssertionError, match="does not declare it"):
            undeclared()
    with pytest.raises(AttributeError):
        outer.no_such_key  # noqa: B018
    with pytest.raises(KeyError):
        outer.models["c"]


def test_a_part_is_never_taken_for_the_whole() -> None:
    outer = read("outer.inner.low,outer.models.a", "outer", Outer)
    for whole in (
        lambda: outer.model_dump(),
        lambda: outer.inner.model_dump(),
        lambda: outer.model_copy(update={"samples": 1, "free": {}, "parts": []}).model_dump(),
        lambda: list(outer.models),
        lambda: len(outer.models),
        lambda: outer.models.items(),
        lambda: outer.models.values(),
        lambda: dict(outer.models),
        lambda: {**outer.models},
        lambda: outer.models | {},
        lambda: outer.models == {},
        lambda: json.dumps(outer.models),
        lambda: sorted(value("outer.models.a", "outer.models")),
        lambda: copy.copy(outer.models) == {},
    ):
        with pytest.raises(AssertionError, match="does not declare it"):
            whole()
    assert read("outer.models.a", "outer", Outer).models["a"].model_dump() == {"low": 96, "high": 95, "tags": []}
    assert read("outer", "outer", Outer).model_dump()["models"]["b"]["low"] == 94


def test_raw_values() -> None:
    assert value("outer", "outer.free.y.z") == 92
    assert value("outer.parts", "outer.parts") == [{"low": 91}]
    part = value("outer.free.y", "outer")
    assert part["free"]["y"] == {"z": 92}
    with pytest.raises(AssertionError, match="samples is read"):
        part["samples"]
    with pytest.raises(AssertionError, match=r"other\.samples is read"):
        value("outer", "other.samples")
    with pytest.raises(UserError, match=r"outer\.nothing is missing"):
        value("outer", "outer.nothing")


def test_a_section_that_is_left_out_has_its_defaults() -> None:
    assert read("random_seed", "absent", Outer).samples == 2
    assert optional("random_seed", "absent.samples", 5) == 5
    assert undeclared_value("absent", 7) == 7
    with pytest.raises(AssertionError, match=r"Outer\.samples is read"):
        read("random_seed", "outer", Outer).samples  # noqa: B018
    with pytest.raises(AssertionError, match="outer is read"):
        value("random_seed", "outer")
    with pytest.raises(AssertionError, match=r"outer\.samples is read"):
        optional("random_seed", "outer.samples", 5)
    assert optional("outer", "outer.samples", 5) == undeclared_value("outer.samples") == 99
    write({"outer": {}})
    assert read("random_seed", "outer", Outer).samples == 2


def leaves(values: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if isinstance(values, dict) and values:
        return [leaf for name, inner in values.items() for leaf in leaves(inner, (*path, name))]
    return [path]


TREES = st.recursive(
    st.integers(), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=3), max_leaves=8
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from("abc"), TREES, min_size=1), st.data())
def test_each_leaf_is_the_file_s_value_or_cannot_be_read(tmp_path_factory: Any, tree: Any, data: Any) -> None:
    path = str(tmp_path_factory.getbasetemp() / "tree.yaml")
    Path(path).write_text(yaml.safe_dump({"root": tree}))
    everything = leaves({"root": tree})
    nodes = sorted({leaf[:n] for leaf in everything for n in range(1, len(leaf) + 1)})
    keys = [".".join(node) for node in data.draw(st.lists(st.sampled_from(nodes), min_size=1, max_size=3))]
    for leaf in everything:
        dotted = ".".join(leaf)
        covered = any(dotted == key or dotted.startswith(key + ".") for key in keys)
        for start in range(1, len(leaf) + 1):
            try:
                found = value(",".join(keys), ".".join(leaf[:start]), path)
                for name in leaf[start:]:
                    found = found[name]
            except AssertionError:
                assert not covered
            else:
                assert covered
                assert found == look_up({"root": tree}, dotted)


def test_a_partial_section_survives_no_other_way_out() -> None:
    part = read("outer.inner.low", "outer", Outer)
    for copied in (copy.copy(part), copy.deepcopy(part), part.model_copy(), pickle.loads(pickle.dumps(part))):
        with pytest.raises(AssertionError):
            copied.samples  # noqa: B018
