"""The Axolotl configuration of preference training: the recipe of an arm, and the complete one of a run."""

from typing import Any

from holdfast.common.errors import UserError
from holdfast.steps.train.run_config import run_config

_OURS = {
    "rl": "dpo",
    "trainer_cls": "holdfast.steps.train.dpo.trainer.PairTrainer",
    "skip_prepare_dataset": True,  # the pairs are tokens of the right length already
}
# what shapes conversations, which these runs have none of
_OF_CONVERSATIONS = ("chat_template", "chat_template_jinja", "eot_tokens", "curriculum_sampling")


def pair_recipe(recipe: dict[str, Any], where: str) -> dict[str, Any]:
    """A recipe for fine-tuning as one for DPO. `where`: the beginning of messages.

    Raises UserError where the recipe asks for another method.
    """
    for key, ours in _OURS.items():
        if recipe.get(key, ours) != ours:
            raise UserError(f"{where}{key}: Holdfast sets this key for arms with preferences ({ours}); remove it")
    return {key: value for key, value in recipe.items() if key not in _OF_CONVERSATIONS} | _OURS


def pair_run_config(recipe: dict[str, Any], start: str, seed: int, rows: int, pairs: str, work: str) -> dict[str, Any]:
    """`recipe` with model, data, folders and seed. `start`: the folder of the model that is trained further.

    `pairs`: JSONL of `rows` lines with `prompt_ids`, `chosen_ids` and `rejected_ids`.
    """
    data = {"path": pairs, "ds_type": "json", "split": "train"}
    return run_config(recipe, start, seed, rows, pairs, None, work) | {"datasets": [data]}
