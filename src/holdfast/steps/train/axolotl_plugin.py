"""What Holdfast adds to an Axolotl run: repeatable adapters, a record of the losses, and no life after its parent."""

import json
import os
from pathlib import Path
from typing import Any

from axolotl.integrations.base import BasePlugin
from transformers import TrainerCallback, set_seed

from holdfast.common.processes import end_with_parent

HISTORY = "history.json"  # written when training has ended, and only then


PROGRESS = "progress.json"
CURVE_POINTS = 50  # of the loss curve, where the recipe does not say how often the loss is logged


class HoldfastPlugin(BasePlugin):
    """Named in the `plugins` of every configuration that Holdfast writes."""

    def register(self, cfg: dict[str, Any]) -> None:
        end_with_parent()  # the launcher

    def pre_model_load(self, cfg: Any) -> None:
        set_seed(cfg.seed)

    def pre_lora_load(self, cfg: Any, model: Any) -> None:
        set_seed(cfg.seed)  # Axolotl seeds only after PEFT has drawn its matrices

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[Any]:
        return [Record(Path(cfg.output_dir).parent, choose=cfg.logging_steps is None)]


class Record(TrainerCallback):
    """Writes how far the training is, and at its end everything that was logged."""

    def __init__(self, folder: Path, choose: bool) -> None:
        self.folder, self.choose = folder, choose

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.choose:  # only now the number of steps is known: GPUs and packing change it
            args.logging_steps = state.logging_steps = max(1, state.max_steps // CURVE_POINTS)

    def _write(self, name: str, value: Any) -> None:
        aside = self.folder / f".{name}.part"
        aside.write_text(json.dumps(value), encoding="utf-8")
        os.replace(aside, self.folder / name)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if state.is_world_process_zero:
            loss = (logs or {}).get("loss")
            self._write(PROGRESS, {"step": state.global_step, "of": state.max_steps, "loss": loss})

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            self._write(
                HISTORY,
                {"steps": state.global_step, "of": state.max_steps, "epochs": state.epoch, "log": state.log_history},
            )
