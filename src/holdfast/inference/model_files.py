"""Where a model's files are: in a folder on this machine, or in one commit of a Hugging Face repository."""

import difflib
import json
import re
from pathlib import Path
from typing import Any

from holdfast.common.errors import UserError, first_line
from holdfast.common.hub import offline_hint
from holdfast.inference.params import Model, declared_loading

HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
COMMIT = re.compile(r"[0-9a-f]{40}")


def is_folder(name: str, model: Model) -> bool:
    """Whether the model is a usable folder rather than a Hugging Face id. Raises UserError when it is neither."""
    folder = Path(model.path)
    if folder.is_dir():
        config = folder / "config.json"
        try:
            json.loads(config.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(
                f"model {name}: {folder} holds no config.json, so it is not a model; build or copy it again"
            ) from None
        except (OSError, ValueError) as error:
            raise UserError(f"model {name}: {config} is damaged ({error}); build or copy the model again") from None
        return True
    if folder.exists() or not HUB_ID.fullmatch(model.path) or (folder.parent != Path(".") and folder.parent.is_dir()):
        siblings = [str(p) for p in folder.parent.iterdir() if p.is_dir()] if folder.parent.is_dir() else []
        near = difflib.get_close_matches(str(folder), siblings, 1)
        hint = f"; did you mean {near[0]}?" if near else "; build it first or correct models." + name + ".path"
        raise UserError(f"model {name}: there is no folder {model.path}{hint}")
    return False


def hub_commit(what: str, path: str, revision: str | None, online: bool = True) -> str:
    """The commit that `revision` (None: main) of the Hugging Face repository `path` is now.

    Asks the hub, or looks into the local cache where it cannot be asked. With `online=False` the hub is not asked and
    the result is "" if the commit is not known. Raises UserError, beginning with `what`, if neither has the revision.
    """
    revision = revision or "main"
    if COMMIT.fullmatch(revision):
        return revision
    import httpx
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    fault = "it is not in the local cache"
    if online:
        try:
            return HfApi().model_info(path, revision=revision, timeout=30).sha or ""
        except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, httpx.HTTPError, OSError) as error:
            fault = first_line(error)
    for file in ("config.json", "tokenizer_config.json"):
        cached = try_to_load_from_cache(path, file, revision=revision)
        if isinstance(cached, str):
            return Path(cached).parent.name
    if not online:
        return ""
    raise UserError(
        f"{what}: {path} (revision {revision}) is not a folder on this machine, and the Hugging Face hub does not"
        f" provide it: {fault}" + offline_hint()
    )


def pinned(name: str, model: Model) -> Model:
    """`model` with the commits of its Hugging Face repositories, so that every later load is of them.

    They are its `revision` and `engine_args.tokenizer_revision`. A branch may move between two loads. Folders and
    endpoints are returned as they are. Raises UserError when the model or its tokenizer cannot be found.
    """
    if model.engine == "openai":
        return model
    found: dict[str, Any] = {}
    if not is_folder(name, model):
        found["revision"] = hub_commit(f"model {name}", model.path, model.revision)
    given = model.engine_args
    if (tokenizer := given.get("tokenizer")) and not Path(tokenizer).is_dir():
        commit = hub_commit(tokenizer_key(name), tokenizer, given.get("tokenizer_revision"))
        found["engine_args"] = given | {"tokenizer_revision": commit}
    return model.model_copy(update=found)


def tokenizer_key(name: str) -> str:
    """The key of params.yaml that names a tokenizer other than the model's own."""
    return f"models.{name}.engine_args.tokenizer"


def pinned_revision(path: str, revision: str | None) -> str | None:
    """The commit that `revision` is if `path` is a Hugging Face id; else `revision`.

    Raises UserError when the hub has no such revision.
    """
    if Path(path).exists() or not HUB_ID.fullmatch(path):
        return revision
    return hub_commit(f"model {path}", path, revision)


def pinned_loading(declared: str, path: str) -> dict[str, Any]:
    """As `declared_loading` for the base model at `path`, with `revision` as a commit if it is a Hugging Face id."""
    found = declared_loading(declared)
    return found | {"revision": pinned_revision(path, found["revision"])}
