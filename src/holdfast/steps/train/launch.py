"""Starts Axolotl, and prepares its working folder so that a killed run is resumed."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from holdfast.common.arm_file import file_of
from holdfast.common.errors import UserError
from holdfast.common.files import digest
from holdfast.common.gpus import own_gpus
from holdfast.common.processes import end_with_parent
from holdfast.common.progress import INTERVAL_S, progress_line
from holdfast.common.section import optional, undeclared_value
from holdfast.steps.train.loss_curve import curve

WORK = Path(".holdfast/train")


def run_settings(declared: str, arm: str) -> tuple[int, bool, str | None]:
    """(GPUs, whether an adapter is merged, launcher) of an arm. The launcher is not declared: it changes no weight."""
    gpus, merge = (
        optional(declared, f"arms.{arm}.train.{key}", optional(declared, f"train.{key}", default), file_of(arm))
        for key, default in (("gpus", 0), ("merge", True))
    )
    return gpus, merge, undeclared_value(f"arms.{arm}.train.launcher", undeclared_value("train.launcher"), file_of(arm))


def work_folder(run_name: str, config: dict[str, Any], *contents: str) -> Path:
    """The run's working folder, named by a hash of `config` and `contents` (files); deletes the run's others."""
    text = json.dumps([config, [digest(path) if Path(path).exists() else path for path in contents]], sort_keys=True)
    folder = WORK / f"{run_name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    for other in WORK.glob(f"{run_name}-????????????????"):
        if other != folder:
            shutil.rmtree(other)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def prepare_to_resume(work: Path) -> int:
    """Remove incomplete files of a killed run. Returns the step that the next run resumes from, 0 for the start.

    A checkpoint of the last step is removed too: Axolotl would train one step more from it.
    """
    last = 0
    for checkpoint in (work / "output").glob("checkpoint-*"):
        try:
            state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
            complete = state["global_step"] < state["max_steps"]
        except (OSError, ValueError, KeyError):
            complete = False
        if complete:
            last = max(last, state["global_step"])
        else:
            shutil.rmtree(checkpoint)
    if not last:
        shutil.rmtree(work / "prepared", ignore_errors=True)
    (work / "history.json").unlink(missing_ok=True)
    return last


def train_to_the_end(work: Path, run_name: str, gpus: int, launcher: str | None, merge: bool) -> dict[str, Any]:
    """Train by `axolotl.yaml` in `work`, from the last checkpoint on if there is one; nothing if that was done before.

    `merge`: merge the adapter into the model afterwards. Returns what the plugin wrote at the end (`history.json`).
    Raises UserError when training stops before that.
    """
    config, history = work / "axolotl.yaml", work / "history.json"
    if not (work / "done").exists():
        if step := prepare_to_resume(work):
            print(f"train {run_name}: resuming from step {step}", flush=True)
        with own_gpus(gpus):
            axolotl(["train"], config, launcher or ("accelerate" if gpus > 1 else "python"), run_name)
            if not history.exists():
                raise UserError(
                    f"train {run_name}: stopped before the end; build again to resume from the last checkpoint"
                )
            if merge:
                axolotl(["merge-lora"], config, None, run_name)
        (work / "done").touch()
    return json.loads(history.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def axolotl(command: list[str], config: Path, launcher: str | None, run_name: str) -> None:
    """Run an Axolotl command; its output goes to stderr, the job's log. Raises UserError when it fails."""
    words = [sys.executable, "-m", "axolotl.cli.main", *command, str(config)]
    words += ["--launcher", launcher] if launcher else []
    environment = os.environ.copy()
    if command == ["train"] and yaml.safe_load(config.read_text(encoding="utf-8")).get("dataset_num_proc") == 1:
        words += ["--dataset-num-proc", "0"]  # 1 is a process of its own, for every file and every part of the work
        environment["AXOLOTL_DATASET_NUM_PROC"] = "0"  # Axolotl saves what it prepared with this number where it has 0
    process = subprocess.Popen(words, stdout=sys.stderr, env=environment, preexec_fn=end_with_parent)
    try:
        printed, first = time.monotonic(), None
        while process.poll() is None:
            time.sleep(0.2)
            if time.monotonic() - printed > INTERVAL_S:
                printed = time.monotonic()
                first = _print_progress(config.parent, run_name, first)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    if process.returncode:
        raise UserError(
            f"{run_name}: axolotl {command[0]} ended with status {process.returncode}; see its messages above"
        )


def _print_progress(work: Path, run_name: str, first: tuple[int, float] | None) -> tuple[int, float] | None:
    """Print how far the run is. `first` is the first step that was seen and when (s); it is returned."""
    try:
        at = json.loads((work / "progress.json").read_text(encoding="utf-8"))
    except OSError:
        print(f"train {run_name}: Axolotl is starting …", flush=True)
        return None
    step, seen = first = first or (at["step"], time.monotonic())
    rate = (at["step"] - step) / (time.monotonic() - seen) if at["step"] > step else 0.0
    loss = [f"loss {at['loss']:.3g}"] if at["loss"] is not None else []
    print(progress_line(f"train {run_name}", at["step"], at["of"], "steps", rate, *loss), flush=True)
    return first


def whole_curve(ended: dict[str, Any]) -> str:
    """The loss curve, whose last line is the last step also where no loss was logged there."""
    at_the_end = [e for e in ended["log"] if e["step"] == ended["steps"] and ("loss" in e or "eval_loss" in e)]
    last = [] if at_the_end else [{"step": ended["steps"], "epoch": ended["epochs"], "loss": None}]
    return curve([*ended["log"], *last])
