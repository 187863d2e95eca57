"""What a model is, as one hash: its files (or name and revision), its engine, and the settings that change answers."""

import json
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import xxhash

from holdfast.common.errors import UserError
from holdfast.common.files import write_json
from holdfast.common.section import read, value
from holdfast.inference.model_files import hub_commit, is_folder, tokenizer_key
from holdfast.inference.params import Model

CACHE = Path(".holdfast/fingerprints.json")


# Engine arguments that decide memory, speed and placement. They may move the last bits of a float on some devices but
# not the distribution that answers are drawn from, so changing one asks no model again (docs/decisions/inference.md).
NEUTRAL = frozenset(
    {"gpu_memory_utilization", "kv_cache_memory_bytes", "num_gpu_blocks_override", "block_size", "swap_space"}
    | {"cpu_offload_gb", "max_num_seqs", "max_num_batched_tokens", "max_num_partial_prefills", "async_scheduling"}
    | {"tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size", "distributed_executor_backend"}
    | {"disable_custom_all_reduce", "enable_prefix_caching", "enable_chunked_prefill", "enforce_eager"}
    | {"compilation_config", "disable_log_stats", "download_dir", "max_parallel_loading_workers", "seed"}
    | {"batch_size", "device_map", "max_memory", "low_cpu_mem_usage"}
)


# Files in a model's folder that decide no answer.
IGNORED = ("README.md", "LICENSE", "LICENSE.txt", ".gitattributes")


# Raise an engine's number when it answers the same request otherwise than before: then the journal's old answers of
# this engine are not used any more. The keys of engines that are not listed stay what they were.
ENGINE_VERSIONS = {"transformers": 2}  # 2: a row's length and repetition penalty do not depend on its batch


def fingerprint(name: str, model: Model, online: bool = True) -> str:
    """32 hex digits that change whenever the model could answer differently; rates, licence and limits do not count.

    A folder counts by the content of its files, a Hugging Face id by its commit, an endpoint's model by url, name and
    revision, a chat template of the user's own by its content, and `engine_args.tokenizer` as the model itself. With
    `online=False` the hub is not asked; a commit that is not known on this machine gives "". Raises UserError when the
    model, the tokenizer or the template cannot be found.
    """
    arguments = {k: v for k, v in model.engine_args.items() if k not in NEUTRAL}
    if model.engine == "openai":
        identity = [(model.url or "").rstrip("/"), model.path, model.revision]
    elif is_folder(name, model):
        identity = ["folder", folder_hash(Path(model.path))]
    else:
        commit = hub_commit(f"model {name}", model.path, model.revision, online)
        if not commit:
            return ""
        identity = ["hub", model.path, commit]
    version = ENGINE_VERSIONS.get(model.engine)
    own_tokenizer: list[object] = []
    if model.engine != "openai" and (tokenizer := arguments.pop("tokenizer", None)):
        revision = arguments.pop("tokenizer_revision", None)
        if Path(tokenizer).is_dir():
            own_tokenizer = ["tokenizer", folder_hash(Path(tokenizer))]
        elif commit := hub_commit(tokenizer_key(name), tokenizer, revision, online):
            own_tokenizer = ["tokenizer", tokenizer, commit]
        else:
            return ""
    parts: list[object] = [
        f"{model.engine} {version}" if version else model.engine,
        identity,
        arguments,
        *own_tokenizer,
    ]
    if model.chat_template and model.engine != "openai":
        try:
            parts.append(_file_hash(Path(model.chat_template)))
        except OSError as error:
            raise UserError(f"models.{name}.chat_template: {model.chat_template}: {error.strerror}") from error
    text = json.dumps(parts, sort_keys=True, default=str)
    return blake2b(text.encode(), digest_size=16).hexdigest()


def about(name: str, model: Model) -> dict[str, object]:
    """What the journal says of the model whose answers it keeps, for people."""
    return {"name": name} | model.model_dump(include={"path", "revision", "engine", "engine_args", "url"})


def answer_keys(name: str, model: Mapping[str, Any]) -> list[str]:
    """The keys of params.yaml, where `models.<name>` is `model`, that decide what it answers, as in `fingerprint`."""
    keys = [key for key in ("path", "revision", "engine", "url", "chat_template") if key in model]
    arguments = model.get("engine_args", {})
    if all(str(key).isidentifier() for key in arguments):
        keys += [f"engine_args.{key}" for key in sorted(arguments) if key not in NEUTRAL]
    else:
        keys.append("engine_args")
    return [f"models.{name}.{key}" for key in keys]


def read_model(declared: str, name: str) -> Model:
    """The whole of `models.<name>`, of which the keys that decide what it answers must be `declared`.

    Prices, rates, limits, licence and GPUs are read as they stand: no row comes out differently for them, so no job
    declares them and none is stale when they change.
    """
    key = f"models.{name}"
    for needed in answer_keys(name, value(key, key)):
        value(declared, needed)
    return read(key, key, Model)


def folder_hash(folder: Path) -> str:
    """Hash of the names and contents of a model folder's files, without checkpoints, hidden files and its README.

    Each file's hash is remembered in .holdfast/fingerprints.json by path, size, modification time (ns) and inode.
    """
    try:
        known = json.loads(CACHE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    total, fresh = blake2b(digest_size=16), {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        skipped = any(part.startswith((".", "checkpoint-")) for part in relative.parts) or path.name in IGNORED
        if skipped or not path.is_file():
            continue
        state = path.stat()
        stamp = [state.st_size, state.st_mtime_ns, state.st_ino]
        where = str(path.resolve())
        if known.get(where, [None])[:-1] != stamp:
            fresh[where] = known[where] = [*stamp, _file_hash(path)]
        total.update(f"{relative.as_posix()}\0{known[where][-1]}\n".encode())
    if fresh:
        write_json(known, CACHE)  # of two writers one's additions are lost, and hashed again next time
    return total.hexdigest()


def _file_hash(path: Path) -> str:
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()
