"""What `holdfast init` finds out by looking: at the base model, at the domain data, at the GPUs."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.chat.prequery import derive
from holdfast.chat.template import Refused, Template, eos_ids, load_tokenizer
from holdfast.common.data_files import read_records
from holdfast.common.errors import UserError
from holdfast.inference.params import Model
from holdfast.steps.mix.conversations import conversation
from holdfast.steps.mix.messages import Fault, UnsupportedRow
from holdfast.steps.mix.shapes import SHAPES, shape_of

_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
QUESTION_ANSWER = SHAPES["question_answer"].columns
_LICENCE = re.compile(r"^license:\s*(\S+)\s*$", re.MULTILINE)


class BaseModel(NamedTuple):
    """The base model. `weights_gb` in 16 bits; None where the weights are not on this machine."""

    path: str
    weights_gb: float | None
    context: int | None  # tokens
    template: bool
    prefix_fault: str  # why there is no pre-query prefix; empty: there is one
    licence: str | None
    tokenizer: Any


class Domain(NamedTuple):
    """The domain data: its shape, its usable rows, and lengths in the base model's tokens."""

    path: str
    shape: str
    columns: dict[str, str]  # Holdfast's names -> the file's, where they differ
    rows: list[list[dict[str, Any]]]  # conversations
    faulty: list[str]  # place and fault
    longest: int
    mean: float


def local_path(path: str) -> str:
    """`path` as params.yaml needs it: with ./ in front of a folder that would else be read as a Hugging Face id."""
    named = Model(path=path).folder is not None
    return f"./{path}" if Path(path).is_dir() and not named else path


def look_at_model(path: str) -> BaseModel:
    """Raises UserError when it has no tokenizer that can be loaded."""
    path = local_path(path)
    folder = Path(path)
    tokenizer = load_tokenizer(path)
    config = _config(folder)
    fault = ""
    if tokenizer.chat_template:
        try:
            derive(Template(tokenizer), [], eos_ids(tokenizer, path))
        except Refused as error:
            fault = str(error)
    context = next((config[key] for key in ("max_position_embeddings", "n_positions") if config.get(key)), None)
    card = folder / "README.md"
    licence = _LICENCE.search(card.read_text(encoding="utf-8", errors="replace")) if card.is_file() else None
    return BaseModel(
        path,
        _weights_gb(folder, config),
        context,
        bool(tokenizer.chat_template),
        fault,
        licence[1] if licence else None,
        tokenizer,
    )


def _config(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _weights_gb(folder: Path, config: dict[str, Any]) -> float | None:
    sizes = [path.stat().st_size for pattern in ("*.safetensors", "*.bin") for path in folder.glob(pattern)]
    kept = _BYTES.get(str(config.get("torch_dtype") or config.get("dtype")), 2)
    return sum(sizes) * 2 / kept / 1e9 if sizes else None


def look_at_domain(path: str, columns: dict[str, str], tokenizer: Any) -> Domain:
    """Raises UserError when the file cannot be read, or its rows have a shape that is not known."""
    if not Path(path).exists():
        raise UserError(f"{path}: does not exist")
    rows, faulty, shape = [], [], None
    for record in read_records(path):
        if record.value is None:
            faulty.append(f"{record.place}: {record.fault}")
            continue
        row = {str(column): value for column, value in record.value.items()}
        shape = shape or shape_of(row, columns)
        if shape is None:
            known = "; ".join(f"{name}: {', '.join(SHAPES[name].columns)}" for name in SHAPES)
            raise UserError(
                f"{path} {record.place}: columns {', '.join(row)} have no known shape ({known}); say which are"
                f" which, for example {example(row)}"
            )
        try:
            rows.append([dict(turn) for turn in conversation(row, shape, columns).messages])
        except (Fault, UnsupportedRow) as error:
            faulty.append(f"{record.place}: {error}")
    if not rows or shape is None:
        raise UserError(f"{path}: has no usable row" + (f" ({faulty[0]})" if faulty else ""))
    texts = [" ".join(str(turn["content"]) for turn in row) for row in rows]
    lengths = [len(ids) + 8 * len(row) for ids, row in zip(tokenizer(texts)["input_ids"], rows, strict=True)]
    return Domain(path, shape, columns, rows, faulty, max(lengths), sum(lengths) / len(lengths))


def example(row: dict[str, Any]) -> str:
    """Flags that name the two columns with the longest texts, in the file's order, as question and answer."""
    longest = sorted(row, key=lambda name: len(str(row[name] or "")), reverse=True)[:2]
    names = [name for name in row if name in longest] + ["…"] * (2 - len(longest))
    return " ".join(
        f"--column {shlex.quote(f'{ours}={name}')}" for ours, name in zip(QUESTION_ANSWER, names, strict=True)
    )


def look_at_gpus() -> list[float]:
    """The memory of each GPU of this machine, in GB; empty where there is none."""
    query = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        listed = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    return [float(line) * 1024**2 / 1e9 for line in listed.split()]
