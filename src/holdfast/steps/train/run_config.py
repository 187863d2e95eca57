"""The complete Axolotl configuration of one run: the recipe with the run's data, folders and seed."""

from typing import Any

PLUGIN = "holdfast.steps.train.axolotl_plugin.HoldfastPlugin"
# named because Axolotl drops the keys of a message that it does not find in the template's source
_MESSAGE_KEYS = (
    "role", "content", "name", "tool_calls", "tool_call_id", "reasoning_content", "reasoning", "thinking",
)  # fmt: skip
_ROWS_FOR_PROCESSES = 20_000  # with fewer rows starting processes takes longer than the work


def run_config(
    recipe: dict[str, Any], base_model: str, seed: int, rows: int, train: str, val: str | None, work: str
) -> dict[str, Any]:
    """`recipe` with base model, data, folders and seed. Paths are as given.

    `rows`: of the file `train`. `val` None: no validation.
    """

    def data(path: str) -> list[dict[str, Any]]:
        mixture: dict[str, Any] = {
            "path": path,
            "ds_type": "json",
            "type": "chat_template",
            "field_messages": "messages",
        }
        mixture |= {"message_property_mappings": {key: key for key in _MESSAGE_KEYS}}
        return [mixture | {"roles_to_train": ["assistant"], "train_on_eos": "turn"}]

    filled: dict[str, Any] = {
        "base_model": base_model,
        "seed": seed,
        "datasets": data(train),
        "val_set_size": 0,
        "dataset_prepared_path": f"{work}/prepared",
        "output_dir": f"{work}/output",
        "auto_resume_from_checkpoints": True,
        "plugins": [*(recipe.get("plugins") or []), PLUGIN],
    }
    if rows < _ROWS_FOR_PROCESSES and not {"dataset_num_proc", "dataset_processes"} & recipe.keys():
        filled["dataset_num_proc"] = 1
    if val is not None:
        filled["test_datasets"] = [d | {"split": "train"} for d in data(val)]
        return recipe | filled
    without_evals = {k: v for k, v in recipe.items() if k not in ("eval_steps", "evals_per_epoch", "eval_on_start")}
    return without_evals | filled
