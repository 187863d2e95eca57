"""Parameters of the training: `train`, and what an arm sets otherwise: `arms.<name>.train`."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from holdfast.common.section import Section

# what `config`, a complete recipe, leaves to params.yaml
_BESIDE_CONFIG = {"config", "sequence_len", "merge", "launcher", "gpus", "resources"}


class Budget(Section):
    """How long an arm is trained: in optimiser steps, epochs over its own mixture, or passes over its domain rows."""

    steps: int | None = Field(None, ge=1, description="optimiser steps, the same for all arms")
    epochs: float | None = Field(None, gt=0, description="epochs: a bigger mixture is trained for more steps")
    domain_epochs: float | None = Field(
        None,
        gt=0,
        description="passes over the arm's rows of the source `mix.size_from`, the same for all arms; epochs for an arm"
        " without that source",
    )

    @model_validator(mode="after")
    def _one(self) -> "Budget":
        if [self.steps, self.epochs, self.domain_epochs].count(None) != 2:
            raise ValueError("give one of steps, epochs and domain_epochs")
        return self


class Train(Section):
    """How every arm is fine-tuned by Axolotl."""

    sequence_len: int = Field(ge=8, description="training context, in tokens; `mix` rejects longer rows")
    budget: Budget = Field(Budget(epochs=1.0), description="how long every arm is trained")
    adapter: Literal["lora", "qlora"] | None = Field(None, description="null: all weights are trained")
    lora_r: int = Field(16, ge=1, description="adapter: rank")
    lora_alpha: int = Field(32, ge=1, description="adapter: scale, relative to the rank")
    lora_dropout: float = Field(0.0, ge=0, lt=1, description="adapter: dropout")
    merge: bool = Field(
        True, description="merge the adapter into the model, which `evaluate` needs; the adapter is kept too"
    )
    learning_rate: float = Field(2e-5, gt=0, description="peak learning rate")
    lr_scheduler: str = Field("cosine", description="shape of the learning rate, by its name in Transformers")
    warmup_ratio: float = Field(0.03, ge=0, lt=1, description="share of the steps in which the learning rate rises")
    micro_batch_size: int = Field(8, ge=1, description="rows (packed: sequences) per device and backward pass")
    gradient_accumulation_steps: int = Field(1, ge=1, description="backward passes per optimiser step")
    packing: bool = Field(
        False, description="pack several conversations into one sequence, without attention between them"
    )
    precision: Literal["float32", "bfloat16"] = Field("bfloat16", description="bfloat16 needs a GPU")
    evals: int = Field(
        4, ge=0, description="number of times that the validation loss is computed, if there are validation rows"
    )
    checkpoints: int = Field(
        10, ge=0, description="number of checkpoints in a run, to resume from; the last two are kept"
    )
    launcher: Literal["python", "accelerate", "torchrun"] | None = Field(
        None, description="how Axolotl starts its processes; null: accelerate for several GPUs, else python"
    )
    gpus: int = Field(0, ge=0, description="GPUs of one training job")
    resources: dict[str, int | str] = Field(
        {}, description="Snakemake resources of a training job, such as mem_mb, runtime (minutes) or cpus_per_task"
    )
    axolotl: dict[str, Any] = Field({}, description="further keys of Axolotl (deepspeed, fsdp_config, optimizer, …)")
    config: str | None = Field(
        None, description="complete Axolotl YAML file of your own; Holdfast adds data, base model, output and seed"
    )

    @model_validator(mode="after")
    def _config_is_whole(self) -> "Train":
        also = sorted(self.model_fields_set - _BESIDE_CONFIG)
        if self.config is not None and also:
            raise ValueError(
                f"config is a complete recipe, so {', '.join(also)} cannot be set too; set it in {self.config}"
            )
        return self


def settings_of_arm(train: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The section `train` as it holds for an arm with the settings `own` (`arms.<name>.train`).

    `axolotl` and `resources` are merged key by key; every other setting of `own` replaces that of `train`. With a
    `config` of its own, an arm takes from `train` only what a complete recipe leaves to params.yaml.
    """
    shared = {key: value for key, value in train.items() if not own.get("config") or key in _BESIDE_CONFIG}
    merged = {key: {**shared.get(key, {}), **own[key]} for key in ("axolotl", "resources") if _both(key, shared, own)}
    return {**shared, **own, **merged}


def _both(key: str, *sections: Mapping[str, Any]) -> bool:
    return all(isinstance(section.get(key), dict) for section in sections)
