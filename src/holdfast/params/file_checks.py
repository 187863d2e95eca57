"""Files and folders that params.yaml names: whether they exist, and whether their paths can be passed on."""

import re
from collections.abc import Iterator
from pathlib import Path

from holdfast.inference.params import Model
from holdfast.params.names import nearest
from holdfast.params.schema import Params

BUILT = ("data/sandbox/", "models/sandbox/")  # made by the workflow itself
UNUSABLE = {  # in a path: pattern, and the fault with its repair
    r"[\x00-\x1f\x7f]": "contains a line break, tab or other control character; rename the file",
    r"[{}]": "contains a brace, which marks a wildcard in Snakemake and a variable in DVC; rename the file",
    r"^-": "begins with a hyphen, like an option of a command; write ./ in front of it",
}


def file_faults(params: Params) -> Iterator[str]:
    """A fault for each file or folder that is missing or whose path cannot be used, unless the workflow builds it."""
    for key, path in named_paths(params):
        unusable = [fault for pattern, fault in UNUSABLE.items() if re.search(pattern, path)]
        if unusable:
            yield f"{key}: {path!r} {unusable[0]}"
        elif not Path(path).exists() and not path.startswith(BUILT):
            yield f"{key}: {path} does not exist"
    for name, model in params.models.items():
        if model.folder is None and model.engine != "openai" and Path(model.path).is_dir():
            yield (
                f"models.{name}.path: {model.path} is read as a Hugging Face id, but a folder of this name exists;"
                f" write ./{model.path} to use the folder"
            )
    if (base := params.models.get(params.base)) and has_no_template(base):
        yield f"models.{params.base}.chat_template: {base.path} has no chat template; name a Jinja file with one"
    known = [path.stem for path in Path("envs").glob("*.txt")]
    for name in (params.environments.inference, params.environments.training):
        if not Path(f"envs/{name}.txt").is_file():
            yield f"environments: there is no package list envs/{name}.txt{nearest(name, known)}"


def named_paths(params: Params) -> Iterator[tuple[str, str]]:
    """Every file and folder of the user's own that params.yaml names, each with its key."""
    named: list[tuple[str, str | None]] = [
        ("score.rubric", params.score.rubric),
        ("seed.examples", params.seed.examples),
        ("seed.system_prompts", params.seed.system_prompts),
        ("train.config", params.train.config),
        *(("clean.contamination.benchmarks", path) for path in params.clean.contamination.benchmarks),
        *((f"arms.{name}.train.config", params.own_training(name).get("config")) for name in params.arms),
        *((f"sources.{name}.path", source.path) for name, source in params.sources.items()),
    ]
    for name, part in params.seed.slices.items():
        named += [(f"seed.slices.{name}.{key}", getattr(part, key)) for key in ("system_prompts", "tools")]
    for name, suite in params.evaluate.suites.items():
        keys = ("path", "rubric", "include_path")
        named += [(f"evaluate.suites.{name}.{key}", getattr(suite, key, None)) for key in keys]
    for name, model in params.models.items():
        named += [(f"models.{name}.{key}", path) for key, path in model.files.items()]
    return ((key, path) for key, path in named if path and isinstance(path, str))


def has_no_template(model: Model) -> bool:
    """Whether the files of a model's folder show that it has no chat template, and none is given."""
    if model.chat_template or model.folder is None:
        return False
    settings, known = Path(model.folder) / "tokenizer_config.json", ("chat_template.jinja", "chat_template.json")
    if not settings.is_file() or any((Path(model.folder) / file).exists() for file in (*known, "chat_templates")):
        return False
    return '"chat_template"' not in settings.read_text(encoding="utf-8", errors="replace")
