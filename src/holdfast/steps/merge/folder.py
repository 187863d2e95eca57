"""The folder of an averaged model besides its weights: configuration, tokenizer and chat template, those of an arm."""

import json
import shutil
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from holdfast.common.errors import UserError
from holdfast.steps.merge.weights import FLOATS, INDEX, Tensors

KEPT = (".json", ".jinja", ".model", ".txt", ".py")  # configuration and tokenizer


def config_of(folder: Path) -> dict[str, Any]:
    """The content of a model's config.json. Raises UserError when it is missing, damaged, or of a quantised model."""
    file = folder / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read ({error}); build or copy the model again") from error
    if config.get("quantization_config"):
        raise UserError(f"{file}: the model is quantised (quantization_config), so that its weights cannot be averaged")
    return config  # type: ignore[no-any-return]


def check_tokenizers(base: Any, base_folder: str, arm: Any, arm_folder: Path) -> None:
    """Raises UserError unless two tokenizers have the same tokens and chat template."""
    before, after = base.get_vocab(), arm.get_vocab()
    if before != after:
        token = min(word for word in {*before, *after} if before.get(word) != after.get(word))
        said = [f"number {found[token]}" if token in found else "missing" for found in (after, before)]
        raise UserError(
            f"{arm_folder}/tokenizer.json: the token {token!r} is {said[0]}, in {base_folder} it is {said[1]}; models"
            " with different tokenizers cannot be averaged: train the arm without added tokens"
        )
    if base.chat_template != arm.chat_template:
        raise UserError(
            f"{arm_folder}/chat_template.jinja: is not the chat template of {base_folder}; models that were trained"
            " with different templates cannot be averaged: remove chat_template from train.axolotl and train again"
        )


def copy_settings(arm: Path, folder: Path) -> None:
    """Copy what an arm's folder has besides weights."""
    for file in sorted(arm.iterdir()):
        if file.is_file() and file.suffix in KEPT and file.name not in (INDEX, "holdfast.json"):
            shutil.copyfile(file, folder / file.name)


def copy_weights(tensors: Tensors, source: Path, folder: Path) -> None:
    """Copy the files that hold `tensors`, and their index, byte for byte."""
    for file in dict.fromkeys(tensor.file for tensor in tensors.values()):
        shutil.copyfile(file, folder / file.name)
    if len({tensor.file for tensor in tensors.values()}) > 1:
        shutil.copyfile(source / INDEX, folder / INDEX)


def set_dtype(folder: Path, tensors: Tensors) -> None:
    """Name the type of the weights in config.json: that of the largest tensor."""
    largest = max((one for one in tensors.values() if one.averageable), key=lambda one: prod(one.shape), default=None)
    if largest is None:
        return
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(_with_dtype(config, FLOATS[largest.dtype]), indent=2) + "\n", encoding="utf-8")


def _with_dtype(config: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    """`config` with this type wherever it, or a part of a model of several parts in it, names one."""
    return {
        key: _with_dtype(value, dtype)
        if key.endswith("_config") and isinstance(value, dict)
        else dtype
        if key in ("dtype", "torch_dtype") and isinstance(value, str)
        else value
        for key, value in config.items()
    }
