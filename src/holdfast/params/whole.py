"""All of params.yaml at once: every fault in one go, before anything runs."""

import difflib
import math
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from holdfast.common import section
from holdfast.common.errors import UserError
from holdfast.common.section import Section
from holdfast.inference.params import Model
from holdfast.params.impossible import impossible
from holdfast.params.policy import Policy, check_policy
from holdfast.sandbox.params import Sandbox
from holdfast.steps.clean.params import Clean
from holdfast.steps.evaluate.params import Evaluate
from holdfast.steps.filter.params import Selection
from holdfast.steps.generate.params import Generate
from holdfast.steps.mix.params import REHEARSAL, Arm, Mix, Source
from holdfast.steps.reconstruct.params import Reconstruct
from holdfast.steps.report.params import Report
from holdfast.steps.score.params import Score
from holdfast.steps.seed.params import Seed
from holdfast.steps.train.params import Train

NAME = r"^[a-z0-9_]+$"


Name = Annotated[str, Field(pattern=NAME)]


BUILT = ("data/sandbox/", "models/sandbox/")  # made by the workflow itself


RESERVED = {"base", "sandbox", "summary", "clean", "filter"}  # as arms they would share files with these


class Environments(Section):
    """Which pinned package list of envs/ each kind of step runs in."""

    inference: str = Field("inference", description="inference-gpu for the CUDA build")
    training: str = Field("training", description="training-gpu for the CUDA build")


class Params(Section):
    """params.yaml."""

    random_seed: int = Field(ge=0, description="every random choice follows from it")
    base: str = Field(description="which of `models` is fine-tuned")
    environments: Environments = Field(Environments(), description="package lists in envs/")
    models: dict[Name, Model] = Field(min_length=1, description="every model in use, by name")
    policy: Policy = Field(Policy(), description="what licences must allow")
    seed: Seed = Field(description="what the base model sees before it writes")
    reconstruct: Reconstruct = Field(Reconstruct(), description="how instructions are drawn")
    clean: Clean = Field(Clean(), description="which samples are rejected")
    generate: Generate = Field(description="how the committee answers")
    score: Score = Field(description="how answers are judged")
    filter: dict[Name, Selection] = Field(description="selections of answers, by name; `selected` is the main one")
    mix: Mix = Field(description="what all mixtures share")
    sources: dict[Name, Source] = Field({}, description="data sets of the user's own, by name")
    arms: dict[Name, Arm] = Field(min_length=1, description="training experiments, by name")
    train: Train = Field(description="how every arm is fine-tuned")
    training_seeds: int = Field(1, ge=1, description="how often each arm is trained, each time with another seed")
    evaluate: Evaluate = Field(description="what is measured")
    report: Report = Field(description="what is concluded")
    sandbox: Sandbox | None = Field(None, description="the small world that is built when its files are named above")


def validate(path: str = section.PARAMS_FILE) -> Params:
    """The checked parameters. Raises UserError with one line per fault: key path, what was found, what was expected."""
    values = section.load(path)
    faults = list(yaml_faults(Path(path), values))
    try:
        params = Params.model_validate(values)
    except ValidationError as error:
        raise UserError("\n".join([*faults, *explain(error, path)])) from error
    faults += [f"{path}: {fault}" for fault in [*cross_faults(params), *impossible(params), *file_faults(params)]]
    if faults:
        raise UserError("\n".join(faults))
    return params


def explain(error: ValidationError, path: str) -> Iterator[str]:
    """One line per fault, with the nearest valid key for an unknown one."""
    for fault in error.errors():
        key = ".".join(map(str, fault["loc"]))
        if fault["type"] == "extra_forbidden":
            yield f"{path}: {key}: no such key{nearest(str(fault['loc'][-1]), siblings(fault['loc']))}"
        elif fault["type"] == "missing":
            yield f"{path}: {key}: is missing; add it"
        else:
            message = fault["msg"].removeprefix("Value error, ")
            yield f"{path}: {key}: {message[0].lower()}{message[1:]} (found {reprlib.repr(fault['input'])})"


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint to the known word that `word` is most like."""
    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; known: {', '.join(sorted(known))}"


def siblings(location: tuple[int | str, ...]) -> list[str]:
    """The keys that exist where the last part of `location` stands, by the JSON schema of `Params`."""
    schema = TypeAdapter(Params).json_schema()
    node: dict[str, Any] = schema
    for part in location[:-1]:
        options = [resolve(option, schema) for option in node.get("anyOf", node.get("oneOf", [node]))]
        following = [option.get("properties", {}).get(part, option.get("additionalProperties")) for option in options]
        following += [value for option in options for value in option.get("patternProperties", {}).values()]
        found = [option for option in following if isinstance(option, dict)]
        node = resolve(found[0], schema) if found else node
    options = [resolve(option, schema) for option in node.get("anyOf", node.get("oneOf", [node]))]
    return sorted({key for option in options for key in option.get("properties", {})})


def resolve(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The definition that a JSON schema node refers to."""
    return schema["$defs"][node["$ref"].rsplit("/", 1)[1]] if "$ref" in node else node


def yaml_faults(path: Path, read_as_1_1: Any) -> Iterator[str]:
    """Values that Snakemake (YAML 1.1) and DVC (YAML 1.2) read differently, such as 2e-4, yes, off and 010."""
    try:
        read_as_1_2 = YAML(typ="safe", pure=True).load(path)
    except YAMLError as error:
        raise UserError(f"{path}: not valid YAML 1.2, which DVC reads: {error}") from error
    for key, one, two in differences(read_as_1_1, read_as_1_2):
        meant = [plain(value) for value in (two, one) if not isinstance(value, str)]
        repair = f"write {meant[0]}, or quote it if text is meant" if meant else "quote it"
        yield f"{path}: {key}: Snakemake reads {one!r} here and DVC {two!r}; {repair}"


def plain(value: Any) -> str:
    """A spelling of a scalar that both versions of YAML read alike."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and math.isfinite(value):
        text = repr(value)
        return text if "." in text else text.replace("e", ".0e")
    return str(value)


def differences(one: Any, two: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two readings of the same YAML differ in value or type: dotted key and both values."""
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        for (name, value), (other_name, other) in zip(one.items(), two.items(), strict=True):
            below = f"{key}.{name}".strip(".")
            if (type(name), name) != (type(other_name), other_name):
                yield f"{below} (as a key)", name, other_name
            yield from differences(value, other, below)
    elif isinstance(one, list) and isinstance(two, list):
        for number, (value, other) in enumerate(zip(one, two, strict=True)):
            yield from differences(value, other, f"{key}[{number}]")
    elif type(one) is not type(two) or (one != two and not (one != one and two != two)):
        yield key, one, two


def cross_faults(params: Params) -> Iterator[str]:
    """Names that are used but not defined, and licences that do not allow what is asked of them."""
    sources = {name: Source.model_validate(REHEARSAL) for name in ["rehearsal"]} | params.sources
    used = {name for arm in params.arms.values() for name in arm.sources}
    judges = {suite.judge for suite in params.evaluate.suites.values() if suite.kind == "judge"}
    yield from undefined("base", [params.base], params.models, "models")
    yield from undefined("generate.models", params.generate.models, params.models, "models")
    yield from undefined("score.judges", params.score.judges, params.models, "models")
    yield from undefined("evaluate.suites", sorted(judges), params.models, "models")
    for name, selection in params.filter.items():
        yield from undefined(f"filter.{name}.models", selection.models or [], params.generate.models, "generate.models")
        yield from undefined(f"filter.{name}.judges", selection.judges or [], params.score.judges, "score.judges")
    for name, arm in params.arms.items():
        yield from undefined(f"arms.{name}.sources", arm.sources, sources, "sources")
        if name in RESERVED:
            yield f"arms.{name}: this name is taken; call the arm something else"
    for name in sorted(used & set(sources)):
        if (selected := sources[name].selection) is not None:
            yield from undefined(f"sources.{name}.selection", [selected], params.filter, "filter")
    yield from undefined("report.gated", params.report.gated, params.arms, "arms")
    if "reference" in params.report.model_fields_set or params.report.limits.domain_shortfall is not None:
        yield from undefined("report.reference", [params.report.reference], params.arms, "arms")
    if params.seed.prefix:
        several = ["reconstruct.multi_turn.share"] if params.reconstruct.multi_turn.share > 0 else []
        for key in [*params.seed.by_template, *several]:
            yield f"{key}: has no effect with seed.prefix, which is all that stands before a text; remove one"
    if "cube" in params.filter:
        yield "filter.cube: this name is taken by the table of all scores; call the selection something else"
    if "selected" not in params.filter:
        yield "filter.selected: is missing; it is the selection that the report shows"
    generators, asked = sorted(params.generate.models), sorted(params.score.judges)
    files = {name: source for name, source in params.sources.items() if source.path}  # ours have their models' licences
    yield from check_policy(params.policy, params.base, generators, asked, params.models, used, files)


def undefined(key: str, names: Iterable[str], known: Iterable[str], where: str) -> Iterator[str]:
    """A fault for each of `names` (at `key`) that is not among `known` (defined at `where`)."""
    known = set(known)
    for name in names:
        if name not in known:
            yield f"{key}: {name} is not defined in {where}{nearest(name, known)}"


def file_faults(params: Params) -> Iterator[str]:
    """Files and folders of the user's own that are named but missing; what the workflow builds is passed over."""
    named: dict[str, str | None] = {"score.rubric": params.score.rubric, "seed.examples": params.seed.examples}
    named["seed.system_prompts"] = params.seed.system_prompts
    for name, part in params.seed.slices.items():
        named |= {f"seed.slices.{name}.{key}": getattr(part, key) for key in ("system_prompts", "tools")}
    named |= {f"clean.contamination.benchmarks: {b}": b for b in params.clean.contamination.benchmarks}
    named |= {f"sources.{name}.path": source.path for name, source in params.sources.items()}
    for name, suite in params.evaluate.suites.items():
        named |= {
            f"evaluate.suites.{name}.{key}": getattr(suite, key, None) for key in ("path", "rubric", "include_path")
        }
    named["train.config"] = params.train.config
    for name, model in params.models.items():
        named[f"models.{name}.chat_template"] = model.chat_template
        if model.folder:
            named[f"models.{name}.path"] = model.folder
        elif model.engine != "openai" and Path(model.path).is_dir():
            yield f"models.{name}.path: {model.path} is a folder here; write ./{model.path}, else it is a hub id"
    if (base := params.models.get(params.base)) and has_no_template(base):
        yield f"models.{params.base}.chat_template: {base.path} has no chat template of its own; name a Jinja file"
    for key, path in named.items():
        if path and not Path(path).exists() and not path.startswith(BUILT):
            yield f"{key}: {path} does not exist"
    for name in (params.environments.inference, params.environments.training):
        if not Path(f"envs/{name}.txt").is_file():
            yield f"environments: envs/{name}.txt does not exist"


def has_no_template(model: Model) -> bool:
    """Whether the files of a model's folder show that it has no chat template, and none is given."""
    if model.chat_template or model.folder is None:
        return False
    settings, known = Path(model.folder) / "tokenizer_config.json", ("chat_template.jinja", "chat_template.json")
    if not settings.is_file() or any((Path(model.folder) / file).exists() for file in (*known, "chat_templates")):
        return False
    return '"chat_template"' not in settings.read_text(encoding="utf-8", errors="replace")
