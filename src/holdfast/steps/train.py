"""Fine-tune the base model on one mixture, by Axolotl; resumed where a killed build stopped."""

import csv
import hashlib
import io
import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from holdfast.axolotl_config import LOGGED, run_config
from holdfast.errors import UserError
from holdfast.files import digest, replacing
from holdfast.gpus import own_gpus
from holdfast.params.arms import arm_and_seed
from holdfast.params.models import how_loaded
from holdfast.params.section import read, value
from holdfast.params.train import Train
from holdfast.step import arguments, run
from holdfast.stopping import end_with_parent
from holdfast.template import Template, load_tokenizer
from holdfast.training_template import end_of_turn, training_template

WORK = Path(".holdfast/train")
CURVE = ("step", "epoch", "loss", "eval_loss", "learning_rate", "grad_norm")
_EVERY_S = 10.0


def completed(recipe: dict[str, Any], rows: int, tokenizer: Any, given: bool = False) -> dict[str, Any]:
    """`recipe` with what depends on data and tokenizer: how often the loss is logged, a turn's end, the template.

    `given`: the tokenizer's chat template is the user's.
    """
    recipe = dict(recipe)
    if "logging_steps" not in recipe:
        batch = recipe.get("micro_batch_size", 1) * (recipe.get("gradient_accumulation_steps") or 1)
        steps = math.ceil(rows / batch) * recipe.get("num_epochs", 1)
        recipe["logging_steps"] = max(1, int(steps // LOGGED))
    if rows < 20_000 and "dataset_num_proc" not in recipe and "dataset_processes" not in recipe:
        recipe["dataset_num_proc"] = 1  # starting more processes takes longer than the work
    if recipe.get("chat_template", "tokenizer_default") == "tokenizer_default":
        if "eot_tokens" not in recipe and (token := end_of_turn(Template(tokenizer))):
            recipe["eot_tokens"] = [token]
        if (jinja := training_template(Template(tokenizer), given)) is not None:
            recipe |= {"chat_template": "jinja", "chat_template_jinja": jinja}
    return recipe


def work_folder(run_name: str, config: dict[str, Any], *contents: str) -> Path:
    """The run's folder, named for everything that the result depends on; folders of the run's earlier contents go."""
    text = json.dumps([config, [digest(path) if Path(path).exists() else path for path in contents]], sort_keys=True)
    folder = WORK / f"{run_name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    for other in WORK.glob(f"{run_name}-????????????????"):
        if other != folder:
            shutil.rmtree(other)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def prepare_to_resume(work: Path) -> int:
    """Remove what a killed run left half-done. Returns the step that the next run goes on from, 0 for the beginning.

    A checkpoint of the last step goes too: Axolotl would train one step more from it.
    """
    last = 0
    for checkpoint in (work / "output").glob("checkpoint-*"):
        try:
            state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
            whole = state["global_step"] < state["max_steps"]
        except (OSError, ValueError, KeyError):
            whole = False
        if whole:
            last = max(last, state["global_step"])
        else:
            shutil.rmtree(checkpoint)
    if not last:
        shutil.rmtree(work / "prepared", ignore_errors=True)
    (work / "history.json").unlink(missing_ok=True)
    return last


def axolotl(command: list[str], config: Path, launcher: str | None, run_name: str) -> None:
    """Run an Axolotl command, its output going to the log. Raises UserError when it fails."""
    words = [sys.executable, "-m", "axolotl.cli.main", *command, str(config)]
    words += ["--launcher", launcher] if launcher else []
    process = subprocess.Popen(words, stdout=sys.stderr, preexec_fn=end_with_parent)
    try:
        said = time.monotonic()
        while process.poll() is None:
            time.sleep(0.2)
            if time.monotonic() - said > _EVERY_S:
                said = time.monotonic()
                _say(config.parent, run_name)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    if process.returncode:
        raise UserError(
            f"{run_name}: axolotl {command[0]} ended with status {process.returncode}; its messages are above"
        )


def _say(work: Path, run_name: str) -> None:
    try:
        at = json.loads((work / "progress.json").read_text(encoding="utf-8"))
    except OSError:
        print(f"train {run_name}: Axolotl is starting", flush=True)
        return
    print(f"train {run_name}: step {at['step']}/{at['of']}, loss {at['loss']}", flush=True)


def curve(log: list[dict[str, Any]]) -> str:
    """The loss curve as CSV, one line per step that has a training or validation loss."""
    steps: dict[int, dict[str, Any]] = {}
    for entry in log:
        if "loss" in entry or "eval_loss" in entry:
            steps.setdefault(entry["step"], {}).update(entry)
    text = io.StringIO()
    writer = csv.DictWriter(text, CURVE, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(steps[step] for step in sorted(steps))
    return text.getvalue()


def assemble(output: Path, base: Path, merged: bool, folder: Path, chat_template: str | None) -> None:
    """Fill the new `folder` with the model: weights, configuration, tokenizer, chat template.

    Settings of generation and the cache are the base model's: Axolotl changes them for training. `chat_template` takes
    the place of the one that Axolotl saved, None leaves that.
    """
    folder.mkdir()
    source = output / "merged" if merged else output
    for file in sorted(source.iterdir()):
        if file.is_file() and (file.suffix in (".json", ".safetensors", ".jinja", ".model", ".txt", ".bin")):
            _link(file, folder / file.name)
    for name in ("training_args.bin", "debug.log"):
        (folder / name).unlink(missing_ok=True)
    for file in sorted(output.iterdir()):
        if merged and file.is_file() and (file.name.startswith("adapter_")):
            (folder / "adapter").mkdir(exist_ok=True)
            _link(file, folder / "adapter" / file.name)
        elif merged and file.name.startswith(("tokenizer", "special_tokens", "chat_template")) and file.is_file():
            _link(file, folder / file.name)
    if chat_template is not None:
        (folder / "chat_template.jinja").unlink(missing_ok=True)
        (folder / "chat_template.jinja").write_text(chat_template, encoding="utf-8")
    if (base / "generation_config.json").is_file():
        (folder / "generation_config.json").unlink(missing_ok=True)
        shutil.copyfile(base / "generation_config.json", folder / "generation_config.json")
    before = json.loads((base / "config.json").read_text(encoding="utf-8")) if (base / "config.json").is_file() else {}
    _amend(folder / "config.json", lambda now: {"use_cache": before["use_cache"]} if "use_cache" in before else {})
    for adapter in (folder, folder / "adapter"):  # PEFT writes a set, in another order each time
        _amend(
            adapter / "adapter_config.json",
            lambda now: {k: sorted(v) for k, v in now.items() if k == "target_modules" and isinstance(v, list)},
        )


def _amend(file: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change keys of a JSON file, not of the one that it may be a link to."""
    if file.is_file():
        now = json.loads(file.read_text(encoding="utf-8"))
        file.unlink()
        file.write_text(json.dumps(now | change(now), indent=2) + "\n", encoding="utf-8")


def _link(file: Path, to: Path) -> None:
    to.unlink(missing_ok=True)
    try:
        os.link(file, to)
    except OSError:
        shutil.copyfile(file, to)


def main() -> None:
    args = arguments(__doc__, "run", "base", "recipe", "train", "val", "model", "curve")
    train, (arm, nth) = read(args.params, "train", Train), arm_and_seed(args.run)
    loaded = how_loaded(args.params)
    seed = value(args.params, "random_seed") + nth
    recipe = yaml.safe_load(Path(args.recipe).read_text(encoding="utf-8"))
    rows, held = (Path(path).read_bytes().count(b"\n") for path in (args.train, args.val))
    if not rows:
        raise UserError(f"{args.train}: holds no rows; there is nothing to train on")
    own_template = "chat_template_jinja" in recipe
    tokenizer = load_tokenizer(args.base, **loaded)
    recipe = completed(recipe, rows, tokenizer, loaded["chat_template"] is not None)
    keeps = tokenizer.chat_template if "chat_template_jinja" in recipe and not own_template else None
    val = args.val if held else None

    parts = (args.train, args.val, args.base)
    composed = partial(run_config, recipe, args.base, loaded, seed, args.train, val)
    work = work_folder(args.run, composed(""), *parts)
    config = work / "axolotl.yaml"
    config.write_text(yaml.safe_dump(composed(str(work))), encoding="utf-8")
    merge = bool(recipe.get("adapter")) and train.merge
    history = work / "history.json"
    if not (work / "done").exists():
        if step := prepare_to_resume(work):
            print(f"train {args.run}: going on from step {step}", flush=True)
        launcher = train.launcher or ("accelerate" if train.gpus > 1 else "python")
        with own_gpus(train.gpus):
            axolotl(["train"], config, launcher, args.run)
            if not history.exists():
                raise UserError(
                    f"train {args.run}: stopped before the end; the next build goes on from its last checkpoint"
                )
            if merge:
                axolotl(["merge-lora"], config, None, args.run)
        (work / "done").touch()

    ended = json.loads(history.read_text(encoding="utf-8"))
    about = {"arm": arm, "training_seed": nth, "seed": seed, "base": args.base, "rows": rows}
    about |= {
        "steps": ended["steps"],
        "epochs": ended["epochs"],
        "equal": "steps" if "max_steps" in recipe else "epochs",
    }
    about |= {"adapter": recipe.get("adapter"), "merged": merge}
    with replacing(args.model) as folder:
        assemble(work / "output", Path(args.base), merge, folder, keeps)
        (folder / "holdfast.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    with replacing(args.curve) as aside:
        aside.write_text(curve(ended["log"]), encoding="utf-8")
    shutil.rmtree(work)
    print(f"train {args.run}: {ended['steps']} steps, {ended['epochs']:.2f} epochs of {rows} rows", flush=True)


if __name__ == "__main__":
    run(main)
