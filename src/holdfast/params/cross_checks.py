"""Checks across the sections of params.yaml: names, and settings that exclude each other."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from holdfast.common.errors import UserError
from holdfast.inference.params import endpoint_faults
from holdfast.params.aligned_checks import aligned_faults
from holdfast.params.names import undefined
from holdfast.params.policy import check_policy
from holdfast.params.schema import NAME, RESERVED, Params
from holdfast.steps.mix.params import REHEARSAL, Source, size_source
from holdfast.steps.train.params import Train

SANDBOX_MODELS = "models/sandbox/"


def cross_faults(params: Params) -> Iterator[str]:
    """Names that are used but not defined, and licences that do not allow what is asked of them."""
    sources = {name: Source.model_validate(REHEARSAL) for name in ["rehearsal"]} | params.sources
    used = {name for arm in params.trained_arms.values() for name in arm.sources}
    yield from undefined("base", [params.base], params.models, "models")
    yield from undefined("generate.models", params.generate.models, params.models, "models")
    yield from undefined("score.judges", params.score.judges, params.models, "models")
    for name, suite in params.evaluate.suites.items():
        if suite.kind == "judge":
            yield from undefined(f"evaluate.suites.{name}.judge", [suite.judge], params.models, "models")
    for name, selection in params.filter.items():
        yield from undefined(f"filter.{name}.models", selection.models or [], params.generate.models, "generate.models")
        yield from undefined(f"filter.{name}.judges", selection.judges or [], params.score.judges, "score.judges")
    paired = params.preferences.selections if params.preferences else []
    yield from undefined("preferences.selections", paired, params.filter, "filter")
    for name in paired:
        if name in params.filter and params.filter[name].judges == []:
            yield f"preferences.selections: {name} has judges: [], so its answers have no scores; name one with judges"
    small = params.sandbox.models if params.sandbox else {}
    for name, model in params.models.items():
        if model.engine != "openai" and model.path.startswith(SANDBOX_MODELS):
            yield from undefined(
                f"models.{name}.path", [model.path.removeprefix(SANDBOX_MODELS)], small, "sandbox.models"
            )
    for name in small:
        if not re.fullmatch(NAME.strip("^$"), name):
            yield f"sandbox.models.{name}: a name consists of a to z, 0 to 9 and _; rename it"
    for name, arm in params.trained_arms.items():
        yield from undefined(f"arms.{name}.sources", arm.sources, sources, "sources")
    for name, merged in params.merged_arms.items():
        for part in merged.merge:
            if part in params.merged_arms:
                yield f"arms.{name}.merge: {part} is an average itself; name the trained arms that it is made of"
            else:
                yield from undefined(f"arms.{name}.merge", [part], params.trained_arms | params.aligned_arms, "arms")
    yield from aligned_faults(params)
    for name in params.arms:
        if name in RESERVED:
            yield f"arms.{name}: the name is reserved for files of the workflow; rename the arm"
    for name in sorted(used & set(sources)):
        if (selected := sources[name].selection) is not None:
            yield from undefined(f"sources.{name}.selection", [selected], params.filter, "filter")
    forgetful = {name for name, source in sources.items() if source.draw == "damage"}
    for name in sorted(forgetful):
        probe = sources[name].probe
        assert probe is not None
        yield from undefined(f"sources.{name}.probe", [probe], params.trained_arms, "arms")
        if probe in params.trained_arms and (own := forgetful & set(params.trained_arms[probe].sources)):
            yield (
                f"sources.{name}.probe: the mixture of {probe} is itself drawn by damage ({', '.join(sorted(own))});"
                " name an arm without rehearsal"
            )
    yield from undefined("report.gated", params.report.gated, params.arms, "arms")
    if "reference" in params.report.model_fields_set or params.report.limits.domain_shortfall is not None:
        yield from undefined("report.reference", [params.report.reference], params.arms, "arms")
    if params.seed.prefix:
        several = ["reconstruct.multi_turn.share"] if params.reconstruct.multi_turn.share > 0 else []
        for key in [*params.seed.by_template, *several]:
            yield f"{key}: has no effect, because seed.prefix sets the whole prompt; remove one of the two"
    if "all_scores" in params.filter:
        yield "filter.all_scores: the name is reserved for the table of all scores; rename the selection"
    if "selected" not in params.filter:
        yield "filter.selected: is missing; add it: the report shows this selection"
    generators, asked = sorted(params.generate.models), sorted(params.score.judges)
    files = {name: source for name, source in params.sources.items() if source.path}  # ours have their models' licences
    yield from check_policy(params.policy, params.base, generators, asked, params.models, used, files)


def setting_faults(params: Params) -> Iterator[str]:
    """Values that are each valid, but that a step could not work with; it would say so only when it runs."""
    for name, arm in params.trained_arms.items():
        try:
            size_source(name, arm, params.mix)
        except UserError as error:
            yield str(error).removeprefix("params.yaml: ")
    for name, model in params.models.items():
        yield from endpoint_faults(name, model)
        if model.engine == "vllm" and model.engine_args.get("data_parallel_size", 1) != 1:
            yield (
                f"models.{name}.engine_args.data_parallel_size: vLLM hangs with it when it is not a server; set"
                f" models.{name}.shards, which deals the rows to as many jobs"
            )
    base = params.models.get(params.base)
    if base is not None and base.engine == "openai":
        yield (
            f"base: {params.base} is an endpoint (engine: openai), but fine-tuning needs the weights; choose a model"
            " that is a folder or a Hugging Face id"
        )
    elif base is not None and base.engine_args.get("tokenizer", base.path) != base.path:
        yield (
            f"models.{params.base}.engine_args.tokenizer: prompts, mixtures and training use the tokenizer in the base"
            " model's folder; put the tokenizer's files there and remove this key"
        )
    for key, train in trainings(params):
        if not train.merge and (adapter := used_adapter(train)):
            yield (
                f"{key}.merge: must be true with an adapter ({adapter}), because evaluate runs the merged model; the"
                " adapter is kept beside it"
            )
    for key, named in (
        ("generate.models", params.generate.models),
        ("score.judges", params.score.judges),
        ("evaluate.suites", params.evaluate.suites),
    ):
        if not named:
            yield f"{key}: is empty; name at least one"


def trainings(params: Params) -> Iterator[tuple[str, Train]]:
    """The settings of every training with the key where they are: those that arms share, then those of single arms.

    Arms whose own settings are not valid are left out.
    """
    if not all(arm.train for arm in params.trained_arms.values()):
        yield "train", params.train
    for name in (*params.trained_arms, *params.aligned_arms):
        if params.own_training(name):
            with suppress(ValidationError):
                yield f"arms.{name}.train", params.training(name)


def used_adapter(train: Train) -> Any:
    """The kind of adapter that `train`, or its whole recipe, asks for; None for none or a recipe that is unreadable."""
    if train.config is None:
        return train.adapter
    try:
        recipe = yaml.safe_load(Path(train.config).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):  # said when the recipe is checked
        return None
    return recipe.get("adapter") if isinstance(recipe, dict) else None
