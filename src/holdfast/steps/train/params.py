"""Parameters of the train room: `train`."""

from typing import Any, Literal

from pydantic import Field, model_validator

from holdfast.common.section import Section


class Budget(Section):
    """How long every arm trains: the same number of optimiser steps, or of passes over its mixture."""

    steps: int | None = Field(None, ge=1, description="optimiser steps: all arms learn equally long")
    epochs: float | None = Field(None, gt=0, description="passes over the mixture: a bigger mixture trains longer")

    @model_validator(mode="after")
    def _one(self) -> "Budget":
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give either steps or epochs")
        return self


class Train(Section):
    """How every arm is fine-tuned by Axolotl."""

    sequence_len: int = Field(ge=8, description="training context, in tokens; the mix room keeps rows within it")
    budget: Budget = Field(Budget(epochs=1.0), description="how long: steps or epochs")
    adapter: Literal["lora", "qlora"] | None = Field(None, description="null: all weights are trained")
    lora_r: int = Field(16, ge=1, description="adapter: rank")
    lora_alpha: int = Field(32, ge=1, description="adapter: scale, relative to the rank")
    lora_dropout: float = Field(0.0, ge=0, lt=1, description="adapter: dropout")
    merge: bool = Field(
        True, description="adapter: merge it into the model, as the evaluation needs; it is kept beside it"
    )
    learning_rate: float = Field(2e-5, gt=0, description="peak learning rate")
    lr_scheduler: str = Field("cosine", description="shape of the learning rate, by its name in Transformers")
    warmup_ratio: float = Field(0.03, ge=0, lt=1, description="part of the steps in which the learning rate rises")
    micro_batch_size: int = Field(8, ge=1, description="rows (packed: sequences) per device and backward pass")
    gradient_accumulation_steps: int = Field(1, ge=1, description="backward passes per optimiser step")
    packing: bool = Field(
        False, description="put several conversations into one sequence, without attention between them"
    )
    precision: Literal["float32", "bfloat16"] = Field("bfloat16", description="bfloat16 needs a GPU")
    evals: int = Field(4, ge=0, description="how often the validation loss is measured, if there are validation rows")
    checkpoints: int = Field(10, ge=0, description="how often the training can be resumed from; the last two are kept")
    launcher: Literal["python", "accelerate", "torchrun"] | None = Field(
        None, description="how Axolotl starts its processes; null: accelerate for several GPUs, else python"
    )
    gpus: int = Field(0, ge=0, description="GPUs that one training job needs")
    axolotl: dict[str, Any] = Field({}, description="any further key of Axolotl (deepspeed, fsdp_config, optimizer, …)")
    config: str | None = Field(
        None, description="a whole Axolotl YAML file of your own; Holdfast adds data, base model, output and seed"
    )

    @model_validator(mode="after")
    def _config_is_whole(self) -> "Train":
        also = sorted(self.model_fields_set - {"config", "sequence_len", "merge", "launcher", "gpus"})
        if self.config is not None and also:
            raise ValueError(
                f"config is a whole recipe, so {', '.join(also)} cannot be set beside it; set it in {self.config}"
            )
        return self
