"""Sweeps: the arms and jobs that they stand for, faults in them, and which jobs a change of one makes stale."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from holdfast.build import dvc_file
from holdfast.build.jobs import list_jobs
from holdfast.build.parameters import params_of
from holdfast.common.arm_file import SWEPT, file_of
from holdfast.common.errors import UserError
from holdfast.common.section import PARAMS_FILE, look_up
from holdfast.params.sweeps import swept, value_name
from holdfast.params.validation import validate
from toy_project import ROOT

SHIPPED = yaml.safe_load((ROOT / "params.yaml").read_text())
SHARE = {"arm": "rehearsed", "set": "sources.rehearsal", "values": [0.1, 0.3, 0.5]}


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project without its params.yaml, as the current folder."""
    for name in ("Snakefile", "rules", "src", "envs", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/seed").symlink_to(ROOT / "data/seed")
    monkeypatch.chdir(tmp_path)


def write(**changes: Any) -> dict[str, Any]:
    params = SHIPPED | changes
    Path(PARAMS_FILE).write_text(yaml.safe_dump(params))
    return params


def stages(**changes: Any) -> dict[str, Any]:
    """The stages that follow, each with the values that DVC watches in either file."""
    params = write(**changes)
    validate()
    dvc_file.write_sweeps(params)
    found = dvc_file.stages(list_jobs(), params)
    texts = {PARAMS_FILE: params, SWEPT: swept(params)}
    for stage in found.values():
        watched = {path: keys for path, keys in params_of(stage).items() if path in texts}
        stage["values"] = {(path, key): look_up(texts[path], key) for path, keys in watched.items() for key in keys}
    return found


def stale(before: dict[str, Any], now: dict[str, Any]) -> set[str]:
    """The stages that are new, and those whose command, inputs or parameters differ."""
    return {name for name in now if any(before.get(name, {}).get(k) != now[name][k] for k in ("cmd", "deps", "values"))}


def test_the_other_sources_keep_their_ratio_and_names_say_the_value() -> None:
    arm = {"sources": {"rehearsal": 6, "domain": 3, "public": 1}, "size_from": "domain"}
    sweep = {"arm": "mixed", "set": "sources.rehearsal", "values": [0.2, 0.125, 0, 1]}
    found = swept(SHIPPED | {"arms": {"mixed": arm}, "sweeps": {"share": sweep}})
    assert found["arms"] == {
        "mixed_share_20_pct": {"sources": {"rehearsal": 0.2, "domain": 0.6, "public": 0.2}, "size_from": "domain"},
        "mixed_share_12_5_pct": {
            "sources": {"rehearsal": 0.125, "domain": 0.65625, "public": 0.21875},
            "size_from": "domain",
        },
        "mixed_share_0_pct": {"sources": {"domain": 0.75, "public": 0.25}, "size_from": "domain"},
        "mixed_share_100_pct": {"sources": {"rehearsal": 1}, "size_from": "domain"},
    }
    assert [point["value"] for point in found["curves"]["share"]["points"]] == [0.2, 0.125, 0, 1]
    named = [value_name("train.learning_rate", value) for value in (2e-5, 1.5e-5, 0.0023, 16, 2e7)]
    assert named == ["2em5", "1_5em5", "0_0023", "16", "2e7"]


def test_a_value_with_which_an_arm_is_as_another_adds_none() -> None:
    sweeps = {
        "again": {"arm": "rehearsed", "set": "train.learning_rate", "values": [0.0023, 0.001]},
        "rate": {"arm": "rehearsed", "set": "train.learning_rate", "values": [0.001]},
        "share": SHARE | {"values": [0, 0.83]},
        "weight": {"arm": "mean", "set": "merge.rehearsed", "values": [1, 0.5]},
    }
    arms = SHIPPED["arms"] | {"mean": {"merge": {"rehearsed": 0.5}}}
    found = swept(SHIPPED | {"sweeps": sweeps, "arms": arms})
    assert list(found["arms"]) == ["rehearsed_again_0_001"]
    points = {name: [point["arm"] for point in curve["points"]] for name, curve in found["curves"].items()}
    assert points == {
        "again": ["rehearsed", "rehearsed_again_0_001"],
        "rate": ["rehearsed_again_0_001"],
        "share": ["domain_only", "rehearsed"],
        "weight": ["rehearsed", "mean"],
    }


@pytest.mark.parametrize(
    ("sweep", "fault"),
    [
        (SHARE | {"arm": "rehersed"}, "arm: rehersed is not defined in arms; did you mean rehearsed?"),
        (SHARE | {"set": "sources.rehersal"}, "set: arms.rehearsed.sources has no rehersal; did you mean rehearsal?"),
        (
            SHARE | {"set": "shortage"},
            "set: shortage cannot be swept; use sources.NAME, merge.NAME, budget or train.KEY",
        ),
        (SHARE | {"arm": "domain_only", "set": "sources.domain"}, "set: arms.domain_only has one source only"),
        (SHARE | {"values": [0.1, 83]}, "values.1: 83 is no share; it must be from 0 to 1"),
        (SHARE | {"values": [0.1, 0.1]}, "values.0: 0.1 is there more than once; remove one"),
        (SHARE | {"values": []}, "values: must have at least 1 entry"),
        (SHARE | {"values": ["half"]}, "values.0: must be a number (found 'half')"),
        (SHARE | {"to": 3}, "to: no such key"),
        (
            SHARE | {"set": "train.lerning_rate"},
            "values: 0.1 (arm rehearsed_share_0_1): train.lerning_rate: no such key; did you mean learning_rate?",
        ),
        (
            SHARE | {"set": "train.learning_rate", "values": [0.001, -1]},
            "values: -1 (arm rehearsed_share_m1): train.learning_rate: must be above 0 (found -1)",
        ),
    ],
)
def test_a_fault_names_the_sweep_and_the_value(sweep: dict[str, Any], fault: str) -> None:
    write(sweeps={"share": sweep})
    with pytest.raises(UserError) as raised:
        validate()
    assert str(raised.value).splitlines()[0].startswith(f"params.yaml: sweeps.share.{fault}")


def test_an_average_of_itself_is_refused() -> None:
    weight = {"arm": "mean", "set": "merge.mean", "values": [1]}
    write(sweeps={"weight": weight}, arms=SHIPPED["arms"] | {"mean": {"merge": {"mean": 1}}})
    with pytest.raises(UserError, match=r"arms.mean.merge: mean is an average itself"):
        validate()


def test_a_name_that_is_taken_is_refused() -> None:
    write(sweeps={"share": SHARE}, arms=SHIPPED["arms"] | {"rehearsed_share_30_pct": {"sources": {"domain": 1.0}}})
    with pytest.raises(UserError, match=r"sweeps.share: the arm of its value 0.3 would be called rehearsed_share_3"):
        validate()


def test_each_value_has_the_jobs_of_an_arm_which_watch_its_settings_only() -> None:
    before, now = stages(), stages(sweeps={"share": SHARE})
    arms = [f"rehearsed_share_{percent}_pct" for percent in (10, 30, 50)]
    new = {f"{step}-{arm}" for step in ("mix", "train", "evaluate") for arm in arms}
    assert stale(before, now) == new | {"report"}
    own = {SWEPT: ["arms.rehearsed_share_30_pct.sources"]}
    assert [entry for entry in now["mix-rehearsed_share_30_pct"]["params"] if entry == own] == [own]
    assert [file_of(arm) for arm in ("rehearsed", "rehearsed_share_30_pct")] == [PARAMS_FILE, SWEPT]
    more = stages(sweeps={"share": SHARE | {"values": [0.1, 0.2, 0.3, 0.5]}})
    added = {f"{step}-rehearsed_share_20_pct" for step in ("mix", "train", "evaluate")}
    assert stale(now, more) == added | {"report"}, "another value leaves the others as they are"
    longer = stages(
        sweeps={"share": SHARE}, arms=SHIPPED["arms"] | {"rehearsed": SHIPPED["arms"]["rehearsed"] | {"budget": 90}}
    )
    assert stale(now, longer) == {"mix-rehearsed", *(f"mix-{arm}" for arm in arms)}
    stages()
    assert not Path(SWEPT).exists()
    assert file_of("rehearsed_share_30_pct") == PARAMS_FILE


def test_learning_rates_and_shares_of_averages_can_be_swept() -> None:
    rate = {"arm": "rehearsed", "set": "train.learning_rate", "values": [0.001]}
    weight = {"arm": "averaged", "set": "merge.rehearsed", "values": [0.25, 0.75]}
    now = stages(
        sweeps={"rate": rate, "weight": weight}, arms=SHIPPED["arms"] | {"averaged": {"merge": {"rehearsed": 0.5}}}
    )
    assert {SWEPT: ["arms.rehearsed_rate_0_001.train"]} in now["arm_recipe-rehearsed_rate_0_001"]["params"]
    assert {SWEPT: ["arms.averaged_weight_25_pct.merge"]} in now["merge-averaged_weight_25_pct"]["params"]
    watched = params_of(now["report"])[SWEPT]
    assert {"curves.rate", "curves.weight", "arms.averaged_weight_75_pct.merge"} <= set(watched)
