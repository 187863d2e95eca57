"""The weighted average of models, tensor by tensor, in the memory of one file of the base model."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from holdfast.common.averages import BASE
from holdfast.common.errors import UserError
from holdfast.steps.merge.weights import FLOATS, INDEX, Tensor, Tensors, opened

CHUNK = 1 << 22  # numbers that are averaged at a time: 16 MB in float32


def write_average(models: Mapping[str, Tensors], shares: Mapping[str, float], folder: Path) -> None:
    """Write the average into `folder`, in files and types like the base model's.

    `models`: at least the base model and those in `shares`, with equal tensors (`check_alike`). Memory: one file, and a
    few chunks of one tensor.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    base = models[BASE]
    written: dict[str, str] = {}
    size = 0
    for file in dict.fromkeys(tensor.file for tensor in base.values()):
        names = [name for name, tensor in base.items() if tensor.file == file]
        tensors = {
            name: _averaged(name, base[name], [(models[m][name], share) for m, share in shares.items()])
            for name in names
        }
        try:
            save_file(tensors, folder / file.name, metadata={"format": "pt"})
        except SafetensorError as error:
            raise UserError(f"{folder / file.name}: cannot be written ({error}); free space") from error
        written |= dict.fromkeys(names, file.name)
        size += sum(tensor.nbytes for tensor in tensors.values())
        del tensors
    if len(set(written.values())) > 1:
        index = {"metadata": {"total_size": size}, "weight_map": dict(sorted(written.items()))}
        (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _averaged(name: str, base: Tensor, parts: Sequence[tuple[Tensor, float]]) -> Any:
    """One tensor in the base model's type. Sums are in float32, or float64 for tensors of that type.

    A product and a sum are rounded apart, so that all processors give the same bytes.
    """
    import torch

    if not base.averageable:
        return _equal_in_all(name, [tensor for tensor, _ in parts])
    kind = getattr(torch, FLOATS[base.dtype])
    exact = torch.float64 if kind == torch.float64 else torch.float32
    result = torch.empty(base.shape, dtype=kind)
    for at in _chunks(base.shape):
        total = torch.zeros_like(result[at], dtype=exact)
        for tensor, share in parts:
            with opened(tensor.file) as content:
                total += _part(content, name, at).to(exact).mul(share)
        result[at] = total.to(kind)
    return result


def _chunks(shape: Sequence[int]) -> list[Any]:
    """Indices that cut a tensor into runs of rows of about CHUNK numbers; a number by itself is one chunk."""
    if not shape:
        return [...]
    row = 1
    for size in shape[1:]:
        row *= size
    rows = max(1, CHUNK // max(1, row))
    return [slice(start, start + rows) for start in range(0, shape[0], rows)]


def _part(content: Any, name: str, at: Any) -> Any:
    return content.get_tensor(name) if at is ... else content.get_slice(name)[at]


def _equal_in_all(name: str, tensors: Sequence[Tensor]) -> Any:
    """A tensor of whole numbers, which cannot be averaged. Raises UserError unless it is the same in all models."""
    import torch

    first: Any = None
    for tensor in tensors:
        with opened(tensor.file) as content:
            found = content.get_tensor(name)
        if first is not None and not torch.equal(first, found):
            raise UserError(
                f"{tensor.file}: the tensor {name} is {tensor.dtype} and differs from the one in {tensors[0].file}, so"
                " that the models cannot be averaged; quantised models have to be trained and merged unquantised"
            )
        first = found
    return first
