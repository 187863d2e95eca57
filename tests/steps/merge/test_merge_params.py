"""Arms that are averages: what params.yaml may say, the shares, and the jobs that follow."""

from pathlib import Path

import pytest
import yaml

from holdfast.build import dvc_file
from holdfast.build.jobs import list_jobs
from holdfast.common.averages import all_shares, in_words
from holdfast.common.errors import UserError
from holdfast.params.validation import validate
from toy_project import ROOT

SHIPPED = yaml.safe_load((ROOT / "params.yaml").read_text())


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project without its params.yaml, as the current folder."""
    for name in ("Snakefile", "rules", "src", "envs", "data", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)


def write(*averages: object, **others: object) -> None:
    arms = SHIPPED["arms"] | {f"mean_{number}": average for number, average in enumerate(averages)}
    Path("params.yaml").write_text(yaml.safe_dump(SHIPPED | {"arms": arms} | others))


@pytest.mark.parametrize(
    ("average", "fault"),
    [
        ({"merge": {"rehersed": 0.5}}, "merge: rehersed is not defined in arms; did you mean rehearsed?"),
        ({"merge": {"mean_0": 0.5}}, "merge: mean_0 is an average itself; name the trained arms that it is made of"),
        ({"merge": {"base": 0.5}}, "merge: base is not defined in arms; known: domain_only, public, rehearsed"),
        ({"merge": {"rehearsed": 1.5}}, "merge: the share of rehearsed must be from 0 to 1; the rest is the base"),
        ({"merge": {"rehearsed": 0.6, "public": 0.6}}, "merge: the shares sum to 1.2; they may sum to 1 at most"),
        ({"merge": {}}, "merge: must have at least 1 entry (found a section without entries)"),
        ({"merge": {"rehearsed": "half"}}, "merge.rehearsed: must be a number (found 'half')"),
        ({"merge": {"public": 0.5}, "sources": {"domain": 1.0}}, "sources: no such key; known: merge"),
    ],
)
def test_a_faulty_average_is_named(average: object, fault: str) -> None:
    write(average)
    with pytest.raises(UserError) as raised:
        validate()
    assert str(raised.value).startswith(f"params.yaml: arms.mean_0.{fault}")


def test_an_arm_that_is_no_section_is_named() -> None:
    write("half")
    with pytest.raises(UserError, match=r"arms.mean_0: must be a section with keys of its own \(found 'half'\)"):
        validate()


def test_shares_sum_to_1_and_those_that_are_alone_are_exact() -> None:
    assert all_shares({"a": 0.25}) == {"a": 0.25, "base": 0.75}
    assert all_shares({"a": 0}) == {"base": 1.0}
    assert all_shares({"b": 0.1, "a": 0.2, "c": 0.7}) == {"a": 0.2, "b": 0.1, "c": 0.7}
    assert all_shares({"a": 0.0, "b": 1 - 1e-12}) == {"b": 1.0}
    assert in_words({"rehearsed": 0.5}) == "0.5 rehearsed + 0.5 base"
    assert in_words({"rehearsed": 1}) == "1 rehearsed"


def test_an_average_has_a_job_for_each_seed_and_neither_mixture_nor_training() -> None:
    write({"merge": {"rehearsed": 0.5, "public": 0.1}}, training_seeds=2)
    validate()
    stages = dvc_file.stages(list_jobs(), yaml.safe_load(Path("params.yaml").read_text()))
    assert sorted(name for name in stages if "mean_0" in name) == [
        "evaluate-mean_0", "evaluate-mean_0-s1", "merge-mean_0", "merge-mean_0-s1"
    ]  # fmt: skip
    merge = stages["merge-mean_0-s1"]
    assert {"models/public-s1", "models/rehearsed-s1", "models/sandbox/base"} < set(merge["deps"])
    assert (merge["outs"], merge["params"][0]) == (["models/mean_0-s1"], "arms.mean_0.merge")
    assert "models/mean_0-s1" in stages["evaluate-mean_0-s1"]["deps"]
    assert "data/evaluate/mean_0-s1.parquet" in stages["report"]["deps"]
    assert not [path for path in stages["report"]["deps"] if "mean_0" in path and "evaluate" not in path]
