"""The Axolotl configuration of a training run, composed from the section `train` and the keys that Holdfast sets."""

import difflib
from collections.abc import Iterable
from typing import Any

from holdfast.common.errors import UserError
from holdfast.steps.train.params import Train

# Axolotl keys that Holdfast sets for every run, also with `train.config`
SET_BY_HOLDFAST = (
    "base_model", "revision_of_model", "datasets", "test_datasets", "val_set_size", "pretraining_dataset",
    "output_dir", "dataset_prepared_path", "seed", "resume_from_checkpoint", "auto_resume_from_checkpoints",
)  # fmt: skip

_PARAMETERS = {  # Axolotl key: the parameter of `train` that sets it
    "max_steps": "budget", "num_epochs": "budget", "adapter": "adapter", "bf16": "precision", "fp16": "precision",
    "sample_packing": "packing", "save_steps": "checkpoints", "saves_per_epoch": "checkpoints",
    "eval_steps": "evals", "evals_per_epoch": "evals", "sequence_len": "sequence_len", "learning_rate": "learning_rate",
    "lr_scheduler": "lr_scheduler", "warmup_ratio": "warmup_ratio", "micro_batch_size": "micro_batch_size",
    "gradient_accumulation_steps": "gradient_accumulation_steps", "lora_r": "lora_r", "lora_alpha": "lora_alpha",
    "lora_dropout": "lora_dropout",
}  # fmt: skip

_LAST = 0.9999  # Transformers takes a number below 1 as a share of all steps, and 1 as every step


def recipe(train: Train, key: str = "train") -> dict[str, Any]:
    """The Axolotl keys of a `train` section without `config`; `train.axolotl` overrides the defaults.

    `key`: where in params.yaml the settings are, for messages.

    Raises UserError for a key in `train.axolotl` that Holdfast sets or that `train` has a parameter for.
    """
    for name in train.axolotl:
        if name in SET_BY_HOLDFAST:
            raise UserError(f"params.yaml: {key}.axolotl.{name}: Holdfast sets this key; remove it")
        if name in _PARAMETERS:
            raise UserError(f"params.yaml: {key}.axolotl.{name}: set {key}.{_PARAMETERS[name]} instead")
    fixed: dict[str, Any] = {
        "sequence_len": train.sequence_len,
        "learning_rate": train.learning_rate,
        "lr_scheduler": train.lr_scheduler,
        "warmup_ratio": train.warmup_ratio,
        "micro_batch_size": train.micro_batch_size,
        "gradient_accumulation_steps": train.gradient_accumulation_steps,
        "sample_packing": train.packing,
        "bf16": train.precision == "bfloat16",
        "fp16": False,  # "auto" chooses it on a CPU, where it fails
    }
    if train.budget.steps is not None:
        fixed["max_steps"] = train.budget.steps
    fixed["num_epochs"] = train.budget.epochs or train.budget.domain_epochs or 1
    if train.checkpoints:
        fixed["save_steps"] = _share(train.checkpoints)
    else:
        fixed["save_strategy"] = "no"
    if train.evals:
        fixed["eval_steps"] = _share(train.evals)
    if train.adapter is not None:
        fixed |= {"adapter": train.adapter, "load_in_4bit": train.adapter == "qlora", "lora_r": train.lora_r}
        fixed |= {"lora_alpha": train.lora_alpha, "lora_dropout": train.lora_dropout}
    defaults: dict[str, Any] = {
        "chat_template": "tokenizer_default",
        "optimizer": "adamw_torch",
        "attn_implementation": "sdpa",  # packing leaks across documents without it
        "dataloader_num_workers": 0,
        "save_total_limit": 2,
        "shuffle_merged_datasets": True,  # by the run's seed
        "curriculum_sampling": train.packing,  # without it a packed run resumes elsewhere than it stopped
    }
    if train.packing:
        defaults["eval_sample_packing"] = False
    if train.adapter is not None:
        defaults["lora_target_linear"] = True
        kernels = ("lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel", "lora_embedding_kernel")
        defaults |= dict.fromkeys(kernels, False)  # they call CUDA even where there is none
    return {**defaults, **train.axolotl, **fixed}


def _share(times: int) -> float:
    return 1 / times if times > 1 else _LAST


def own_recipe(path: str, content: Any, train: Train, base_model: str, seed: int) -> dict[str, Any]:
    """The user's own configuration without the keys of SET_BY_HOLDFAST. Raises UserError where it contradicts
    params.yaml."""
    if not isinstance(content, dict) or not content:
        raise UserError(f"{path}: is not an Axolotl configuration (a mapping of keys is expected)")
    fills = {"base_model": base_model, "seed": seed, "sequence_len": train.sequence_len}
    repair = {"base_model": "models.<base>.path", "seed": "random_seed", "sequence_len": "train.sequence_len"}
    for key, ours in fills.items():
        if content.get(key, ours) != ours:
            raise UserError(
                f"{path}: {key} is {content[key]!r}, but {ours!r} in params.yaml ({repair[key]}); make them equal"
            )
    for key in SET_BY_HOLDFAST:
        if key not in fills and content.get(key):
            raise UserError(f"{path}: {key}: Holdfast sets this key; remove it")
    return {k: v for k, v in content.items() if k not in SET_BY_HOLDFAST} | {"sequence_len": train.sequence_len}


def unknown_keys(config: dict[str, Any], known: Iterable[str], where: str) -> None:
    """Raise UserError naming every key of `config` that is not in `known`, each with the most similar known key."""
    names = sorted(known)
    faults = []
    for key in config:
        if key not in names:
            near = difflib.get_close_matches(key, names, n=1)
            faults.append(f"{where}{key}: Axolotl has no such key" + (f"; did you mean {near[0]}?" if near else ""))
    if faults:
        raise UserError("\n".join(faults))
