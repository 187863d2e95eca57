"""Values that are each valid, but of which a step would say, perhaps after days, that it cannot work with them."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from holdfast.common.errors import UserError
from holdfast.inference.params import endpoint_faults
from holdfast.steps.mix.params import size_source
from holdfast.steps.train.params import Train

if TYPE_CHECKING:
    from holdfast.params.whole import Params


def impossible(params: "Params") -> Iterator[str]:
    """One fault a line: the key's path, what is wrong, the repair."""
    for name, arm in params.arms.items():
        try:
            size_source(name, arm, params.mix)
        except UserError as error:
            yield str(error).removeprefix("params.yaml: ")
    for name, model in params.models.items():
        yield from endpoint_faults(name, model)
    base = params.models.get(params.base)
    if base is not None and base.engine == "openai":
        yield (
            f"base: {params.base} is behind an endpoint, but it is fine-tuned and measured from its weights;"
            " name a model that is a folder or a hub id"
        )
    if not params.train.merge and (adapter := used_adapter(params.train)):
        yield (
            f"train.merge: false would leave the {adapter} adapter alone, which evaluate cannot run; leave merge out:"
            " the adapter is kept beside the merged model"
        )
    for key, named in (
        ("generate.models", params.generate.models),
        ("score.judges", params.score.judges),
        ("evaluate.suites", params.evaluate.suites),
    ):
        if not named:
            yield f"{key}: is empty; name at least one"


def used_adapter(train: Train) -> Any:
    """The kind of adapter that `train`, or its whole recipe, asks for; None for none or a recipe that is unreadable."""
    if train.config is None:
        return train.adapter
    try:
        recipe = yaml.safe_load(Path(train.config).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):  # said when the recipe is checked
        return None
    return recipe.get("adapter") if isinstance(recipe, dict) else None
