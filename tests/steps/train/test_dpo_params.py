"""Arms that are trained on preference pairs: what params.yaml may say, and the jobs that follow."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from holdfast.build import dvc_file
from holdfast.build.jobs import list_jobs
from holdfast.common.errors import UserError
from holdfast.params.validation import validate
from toy_project import ROOT

SHIPPED = yaml.safe_load((ROOT / "params.yaml").read_text())
PAIRS = {"preferences": {"selections": ["selected"]}}
OWN = {"learning_rate": 0.0001, "budget": {"epochs": 1}}
ARM = {"preferences": {"arm": "rehearsed", "selection": "selected"}, "train": OWN}


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project without its params.yaml, as the current folder."""
    for name in ("Snakefile", "rules", "src", "envs", "data", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)


def write(arms: dict[str, Any], **others: Any) -> None:
    values = SHIPPED | PAIRS | {"arms": SHIPPED["arms"] | arms} | others
    Path("params.yaml").write_text(yaml.safe_dump({key: value for key, value in values.items() if value is not None}))


def starting(arm: str, selection: str = "selected") -> dict[str, Any]:
    return {"preferences": {"arm": arm, "selection": selection}, "train": OWN}


@pytest.mark.parametrize(
    ("arm", "fault"),
    [
        (starting("rehersed"), ".preferences.arm: rehersed is not defined in arms; did you mean rehearsed?"),
        (starting("aligned"), ".preferences.arm: aligned starts from aligned, so that none of them can be trained; "),
        (starting("again"), ".preferences.arm: aligned starts from again starts from aligned, so that none of them"),
        (starting("mean"), ".preferences.arm: aligned starts from mean starts from aligned, so that none of them"),
        (starting("rehearsed", "selekted"), ".preferences.selection: selekted is not defined in filter; did you mean"),
        (starting("rehearsed", "other"), ".preferences.selection: no pairs are written for other; add `preferences: "),
        ({"preferences": {"arm": "rehearsed"}, "train": OWN}, ".preferences.selection: is missing; add it"),
        (ARM | {"sources": {"domain": 1.0}}, ": has both sources and preferences; make two arms: one with the sources"),
        (ARM | {"shortage": "repeat"}, ".shortage: no such key"),
        ({"preferences": ARM["preferences"]}, ": train lacks learning_rate and budget, which are not taken from"),
        (ARM | {"train": {"learning_rate": 0.001}}, ": train lacks budget, which are not taken from"),
        (ARM | {"train": OWN | {"budget": {"domain_epochs": 1}}}, ": train.budget.domain_epochs counts passes over"),
        (ARM | {"train": OWN | {"packing": True}}, ": train.packing: Axolotl does not pack pairs; remove it"),
        (ARM | {"train": OWN | {"evals": 3}}, ": train.evals has no effect, because no pairs are set aside for"),
        (ARM | {"train": OWN | {"budget": {"steps": 0}}}, ".train.budget.steps: must be at least 1 (found 0)"),
        (ARM | {"train": OWN | {"learning_rte": 1}}, ".train.learning_rte: no such key; did you mean learning_rate?"),
        (
            ARM | {"train": OWN | {"adapter": "lora", "merge": False}},
            ".train.merge: must be true with an adapter (lora), because evaluate runs the merged model",
        ),
    ],
)
def test_a_fault_is_named_before_anything_is_built(arm: dict[str, Any], fault: str) -> None:
    others = {"again": starting("aligned"), "mean": {"merge": {"aligned": 0.5}}}
    filters = SHIPPED["filter"] | {"other": {}}
    write({"aligned": arm} | others, filter=filters)
    with pytest.raises(UserError) as raised:
        validate()
    assert f"params.yaml: arms.aligned{fault}" in str(raised.value)


def test_an_arm_needs_the_section_that_writes_its_pairs() -> None:
    write({"aligned": ARM}, preferences=None)
    with pytest.raises(UserError, match=r"no pairs are written for selected; add `preferences: \{selections: \[selec"):
        validate()


def test_an_arm_starts_from_the_run_with_its_seed_and_is_evaluated_like_any_other() -> None:
    arms = {"aligned": ARM, "again": starting("aligned"), "mean": {"merge": {"aligned": 0.5}}}
    write(arms, training_seeds=2)
    validate()
    stages = dvc_file.stages(list_jobs(), yaml.safe_load(Path("params.yaml").read_text()))
    assert sorted(name for name in stages if "aligned" in name) == [
        "dpo-aligned", "dpo-aligned-s1", "dpo_recipe-aligned", "evaluate-aligned", "evaluate-aligned-s1"
    ]  # fmt: skip
    run = stages["dpo-aligned-s1"]
    pairs, recipe = "data/preferences/selected.jsonl", "data/train/dpo/aligned.yaml"
    assert {"models/rehearsed-s1", pairs, recipe} < set(run["deps"])
    assert {"models/aligned-s1", "plots/train/aligned-s1.csv"} < set(run["outs"])
    assert "arms.aligned.preferences" in run["params"]
    assert "models/aligned-s1" in stages["dpo-again-s1"]["deps"]
    assert "models/aligned-s1" in stages["merge-mean-s1"]["deps"]
    read = {"data/evaluate/aligned-s1.parquet", "plots/train/aligned-s1.csv", "data/train/dpo/aligned-s1.json"}
    assert read < set(stages["report"]["deps"])
    assert not any("rehearsed" in out and "dpo" in name for name, stage in stages.items() for out in stage["outs"])


def test_settings_for_fine_tuning_are_not_taken_over_and_others_are() -> None:
    shared = SHIPPED["train"] | {"packing": True, "evals": 2, "gpus": 2, "axolotl": {"weight_decay": 0.1}}
    write({"aligned": ARM | {"train": OWN | {"axolotl": {"rl_beta": 0.2}}}}, train=shared)
    params = validate()
    train = params.training("aligned")
    assert (train.learning_rate, train.budget.epochs, train.budget.steps) == (0.0001, 1, None)
    assert (train.packing, train.gpus, train.sequence_len) == (False, 2, SHIPPED["train"]["sequence_len"])
    assert train.axolotl == {"weight_decay": 0.1, "rl_beta": 0.2}
    assert params.training("rehearsed").packing
