"""The model folder of a finished training run."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any


def assemble(output: Path, base: Path, merged: bool, folder: Path, chat_template: str | None) -> None:
    """Fill the new `folder` with the model: weights, configuration, tokenizer, chat template.

    Generation settings and `use_cache` are those of the base model, since Axolotl changes them for training.
    `chat_template` replaces the one that Axolotl saved; None keeps it.
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
