"""Axolotl plugin: seeds adapters, records the losses, and ends the trainer when its parent process ends."""

from pathlib import Path
from typing import Any

from axolotl.integrations.base import BasePlugin
from transformers import TrainerCallback, set_seed

from holdfast.common.files import write_json
from holdfast.common.processes import end_with_parent
from holdfast.steps.train.loss_curve import steps_between_logs

HISTORY = "history.json"  # written when training has ended, and only then
PROGRESS = "progress.json"


class HoldfastPlugin(BasePlugin):
    """Named in the `plugins` of every configuration that Holdfast writes."""

    def register(self, cfg: dict[str, Any]) -> None:
        end_with_parent()  # the launcher

    def pre_model_load(self, cfg: Any) -> None:
        set_seed(cfg.seed)

    def pre_lora_load(self, cfg: Any, model: Any) -> None:
        set_seed(cfg.seed)  # Axolotl seeds only after PEFT has drawn its matrices

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[Any]:
        return [Record(Path(cfg.output_dir).parent, cfg.logging_steps)]


class Record(TrainerCallback):
    """Writes the progress during training, and at its end all log entries."""

    def __init__(self, folder: Path, logging_steps: int | None) -> None:
        self.folder, self.logging_steps = folder, logging_steps

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        # the number of steps is known only now: it depends on GPUs and packing
        args.logging_steps = state.logging_steps = steps_between_logs(state.max_steps, self.logging_steps)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if state.is_world_process_zero:
            loss = (logs or {}).get("loss")
            write_json({"step": state.global_step, "of": state.max_steps, "loss": loss}, self.folder / PROGRESS)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            ended = {"steps": state.global_step, "of": state.max_steps, "epochs": state.epoch}
            write_json(ended | {"log": state.log_history}, self.folder / HISTORY)
