"""What goes into an Axolotl configuration, and what is refused before Axolotl sees it."""

import pytest
from pydantic import ValidationError

from holdfast.common.errors import UserError
from holdfast.steps.train.axolotl_config import own_recipe, recipe, unknown_keys
from holdfast.steps.train.params import Budget, Train
from holdfast.steps.train.run_config import PLUGIN, run_config


def test_every_arm_takes_the_same_steps_or_epochs():
    steps = recipe(Train(sequence_len=64, budget=Budget(steps=200)))
    assert steps["max_steps"] == 200
    epochs = recipe(Train(sequence_len=64, budget=Budget(epochs=2.0)))
    assert epochs["num_epochs"] == 2.0
    assert "max_steps" not in epochs
    passes = recipe(Train(sequence_len=64, budget=Budget(domain_epochs=3.0)))
    assert passes["num_epochs"] == 3.0
    assert "max_steps" not in passes
    for budget in ({}, {"steps": 1, "epochs": 1.0}, {"steps": 1, "epochs": 1.0, "domain_epochs": 1.0}):
        with pytest.raises(ValidationError, match="give one of steps, epochs and domain_epochs"):
            Budget.model_validate(budget)


@pytest.mark.parametrize("gpus", [0, 4])
@pytest.mark.parametrize("packing", [False, True])
@pytest.mark.parametrize("budget", [Budget(steps=15), Budget(epochs=2.0)])
def test_how_often_the_loss_is_logged_waits_for_the_trainers_count_of_steps(gpus, packing, budget):
    """GPUs, packing and accumulation change the number of steps, so the configuration leaves it to the plugin."""
    train = Train(sequence_len=64, gpus=gpus, packing=packing, budget=budget, gradient_accumulation_steps=8)
    made = run_config(recipe(train), "some/base", 0, 1000, "t.jsonl", "v.jsonl", "w")
    assert "logging_steps" not in made
    assert PLUGIN in made["plugins"]


def test_axolotl_keys_pass_through_and_beat_the_defaults():
    train = Train(
        sequence_len=64,
        adapter="lora",
        axolotl={"optimizer": "lion", "deepspeed": "zero2.json", "lora_mlp_kernel": True},
    )
    made = recipe(train)
    assert (made["optimizer"], made["deepspeed"], made["lora_mlp_kernel"]) == ("lion", "zero2.json", True)
    assert (made["adapter"], made["lora_r"], made["lora_target_linear"]) == ("lora", 16, True)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("base_model", "train.axolotl.base_model: Holdfast sets this key; remove it"),
        ("datasets", "train.axolotl.datasets: Holdfast sets this key; remove it"),
        ("learning_rate", "train.axolotl.learning_rate: set train.learning_rate instead"),
        ("max_steps", "train.axolotl.max_steps: set train.budget instead"),
    ],
)
def test_nothing_is_said_twice(key, message):
    with pytest.raises(UserError, match=message):
        recipe(Train(sequence_len=64, axolotl={key: 1}))


def test_a_run_has_data_base_folders_and_seed():
    made = run_config(recipe(Train(sequence_len=64)), "some/base", 7, 5, "t.jsonl", "v.jsonl", "w")
    assert (made["base_model"], made["seed"]) == ("some/base", 7)
    assert made["datasets"][0]["path"] == "t.jsonl"
    assert made["datasets"][0]["roles_to_train"] == ["assistant"]
    assert made["test_datasets"][0]["path"] == "v.jsonl"
    assert (made["output_dir"], made["dataset_prepared_path"], made["plugins"]) == ("w/output", "w/prepared", [PLUGIN])
    without = run_config(recipe(Train(sequence_len=64)), "some/base", 7, 5, "t.jsonl", None, "w")
    assert not {"test_datasets", "eval_steps"} & set(without)


OWN = {"base_model": "m", "sequence_len": 64, "adapter": "lora", "plugins": ["some.Plugin"]}


def test_a_configuration_of_the_users_own_is_left_alone():
    made = own_recipe("mine.yaml", OWN, Train(sequence_len=64, config="mine.yaml"), "m", 0)
    assert made == {"sequence_len": 64, "adapter": "lora", "plugins": ["some.Plugin"]}
    assert run_config(made, "m", 0, 5, "t", None, "w")["plugins"] == ["some.Plugin", PLUGIN]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"base_model": "other"}, r"mine.yaml: base_model is 'other', but 'm' in params.yaml \(models.<base>.path\)"),
        ({"sequence_len": 128}, r"sequence_len is 128, but 64 in params.yaml \(train.sequence_len\)"),
        ({"seed": 5}, "seed is 5, but 0 in params.yaml"),
        ({"datasets": [{"path": "x"}]}, "mine.yaml: datasets: Holdfast sets this key"),
        ({"output_dir": "out"}, "mine.yaml: output_dir: Holdfast sets this key"),
    ],
)
def test_contradictions_are_refused(change, message):
    with pytest.raises(UserError, match=message):
        own_recipe("mine.yaml", OWN | change, Train(sequence_len=64, config="mine.yaml"), "m", 0)


def test_a_whole_configuration_leaves_nothing_for_params():
    with pytest.raises(ValidationError, match="config is a complete recipe, so learning_rate cannot be set too"):
        Train(sequence_len=64, config="mine.yaml", learning_rate=0.1)
    with pytest.raises(UserError, match="mapping of keys"):
        own_recipe("mine.yaml", ["a"], Train(sequence_len=64, config="mine.yaml"), "m", 0)


def test_unknown_keys_name_the_nearest():
    with pytest.raises(UserError) as error:
        unknown_keys({"sequnce_len": 1, "zzz": 2, "seed": 3}, ["sequence_len", "seed"], "x.yaml: ")
    assert str(error.value).splitlines() == [
        "x.yaml: sequnce_len: Axolotl has no such key; did you mean sequence_len?",
        "x.yaml: zzz: Axolotl has no such key",
    ]
