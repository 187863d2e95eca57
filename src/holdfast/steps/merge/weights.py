"""The tensors of model folders, and whether they can be averaged."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.common.averages import BASE
from holdfast.common.errors import UserError

INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"
FLOATS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}  # safetensors' names: torch's
HEAD = "lm_head.weight"  # a copy of the embedding where `tie_word_embeddings` is set; not every library saves it


class Tensor(NamedTuple):
    """Where a tensor is, and what: safetensors' name of its type (`BF16`), and its shape."""

    file: Path
    dtype: str
    shape: tuple[int, ...]

    @property
    def averageable(self) -> bool:
        return self.dtype in FLOATS


Tensors = Mapping[str, Tensor]


@contextmanager
def opened(file: Path) -> Iterator[Any]:
    """An open safetensors file. Raises UserError when it is damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as tensors:
            yield tensors
    except (SafetensorError, OSError) as error:
        raise UserError(f"{file}: cannot be read ({error}); build or copy the model again") from error


def tensors_in(folder: Path) -> Tensors:
    """The tensors of a model's folder by name, file by file. Raises UserError when it has none in safetensors."""
    if (folder / SINGLE).is_file():
        files = [folder / SINGLE]
    elif (folder / INDEX).is_file():
        try:
            found = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
        except (OSError, ValueError, KeyError) as error:
            raise UserError(f"{folder / INDEX}: is damaged ({error!r}); build or copy the model again") from error
        files = [folder / name for name in sorted(set(found.values()))]
    elif (folder / "adapter_config.json").is_file():
        raise UserError(f"{folder}: is an adapter, not a whole model; set train.merge: true for its arm")
    else:
        raise UserError(
            f"{folder}: has neither {SINGLE} nor {INDEX}; weights are averaged from safetensors only: load the model"
            " with Transformers and save it with save_pretrained"
        )
    tensors: dict[str, Tensor] = {}
    for file in files:
        with opened(file) as content:
            for name in content.keys():  # noqa: SIM118
                part = content.get_slice(name)
                tensors[name] = Tensor(file, part.get_dtype(), tuple(part.get_shape()))
    return tensors


def without_tied_head(models: Mapping[str, Tensors], config: Mapping[str, Any]) -> dict[str, Tensors]:
    """`models` without the output layer where it is a copy of the embedding and not all of them have it.

    `config`: the base model's config.json.
    """
    tied = config.get("tie_word_embeddings", config.get("text_config", {}).get("tie_word_embeddings", False))
    if not tied or all(HEAD in tensors for tensors in models.values()):
        return dict(models)
    return {name: {key: one for key, one in tensors.items() if key != HEAD} for name, tensors in models.items()}


def check_alike(models: Mapping[str, Tensors], folders: Mapping[str, Path]) -> None:
    """Raises UserError, naming the file and the tensor, unless all models have the base model's tensors and shapes."""
    base = models[BASE]
    repair = "an arm can be averaged only with the base model that it was trained from; train it again, or leave it out"
    for name, tensors in models.items():
        for key in sorted({*base, *tensors}):
            if key not in tensors or key not in base:
                lacking, having = (folders[name], folders[BASE]) if key in base else (folders[BASE], folders[name])
                raise UserError(f"{lacking}: lacks the tensor {key}, which {having} has: {repair}")
            one, other = tensors[key], base[key]
            if one.shape != other.shape:
                raise UserError(
                    f"{one.file}: the tensor {key} has the shape {list(one.shape)}, in {other.file} it has"
                    f" {list(other.shape)}: {repair}"
                )
            if one.averageable != other.averageable or (not one.averageable and one.dtype != other.dtype):
                raise UserError(
                    f"{one.file}: the tensor {key} is {one.dtype}, in {other.file} it is {other.dtype}: {repair}"
                )
