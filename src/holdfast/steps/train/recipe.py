"""The Axolotl configuration of the runs that share it, checked against Axolotl's own schema."""

import sys
import typing
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import yaml
from pydantic import AliasChoices, BaseModel, ValidationError

from holdfast.chat.template import Template, load_tokenizer
from holdfast.chat.training_template import end_of_turn, training_template
from holdfast.common.arm_file import file_of
from holdfast.common.errors import UserError
from holdfast.common.files import write_text
from holdfast.common.section import PARAMS_FILE, explain, optional, value
from holdfast.common.step import arguments, run
from holdfast.inference.model_files import pinned_loading
from holdfast.steps.train.axolotl_config import own_recipe, recipe, unknown_keys
from holdfast.steps.train.params import Train, settings_of_arm
from holdfast.steps.train.passes import with_domain_source
from holdfast.steps.train.run_config import run_config


def key_names(model: type[BaseModel]) -> dict[str, Any]:
    """Every name by which a pydantic model takes a field, with the field's annotation."""
    names: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        names[name] = field.annotation
        choices = field.validation_alias
        aliases = choices.choices if isinstance(choices, AliasChoices) else [field.alias, choices]
        names |= {alias: field.annotation for alias in aliases if isinstance(alias, str)}
    return names


def check_keys(config: dict[str, Any], model: type[BaseModel], where: str) -> None:
    """Raise UserError for keys that `model`, or the model of a nested section, does not have: pydantic drops them."""
    names = key_names(model)
    unknown_keys(config, names, where)
    for key, content in config.items():
        nested = [kind for kind in _inside(names[key]) if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if isinstance(content, dict) and len(nested) == 1:
            check_keys(content, nested[0], f"{where}{key}.")


def _inside(annotation: Any) -> list[Any]:
    arguments = typing.get_args(annotation)
    return [kind for argument in arguments for kind in _inside(argument)] if arguments else [annotation]


def validate(config: dict[str, Any], where: str) -> None:
    """Check a complete configuration against Axolotl's own schema. Raises UserError."""
    with redirect_stdout(sys.stderr):  # Axolotl's log messages belong in the job's log
        _validate(config, where)


def _validate(config: dict[str, Any], where: str) -> None:
    from axolotl.cli.config import prepare_plugins
    from axolotl.utils.config import merge_input_args, validate_config
    from axolotl.utils.dict import DictDefault

    try:
        prepare_plugins(DictDefault(config))
        check_keys(config, merge_input_args()[1], where)
        validate_config(DictDefault(config))
    except ValidationError as error:
        faults = []
        for fault in error.errors():
            key, message = ".".join(map(str, fault["loc"])), fault["msg"].removeprefix("Value error, ")
            faults.append(f"{where}{key}: {message} (found {fault['input']!r:.80})" if key else f"{where}{message}")
        raise UserError("\n".join(faults)) from error
    except UserError:
        raise
    except Exception as error:  # Axolotl's validators raise exceptions of many types
        raise UserError(f"{where.rstrip('.: ')}: Axolotl rejects the recipe: {error}") from error


def with_template(recipe: dict[str, Any], tokenizer: Any, given: bool = False) -> dict[str, Any]:
    """`recipe` with the chat template and end of turn that the base model's tokenizer needs under Axolotl.

    `given`: the tokenizer's chat template is the user's. A recipe with a template of its own stays as it is.
    """
    if recipe.get("chat_template", "tokenizer_default") != "tokenizer_default":
        return recipe
    found = dict(recipe)
    if "eot_tokens" not in recipe and (token := end_of_turn(Template(tokenizer))):
        found["eot_tokens"] = [token]
    if (jinja := training_template(Template(tokenizer), given)) is not None:
        found |= {"chat_template": "jinja", "chat_template_jinja": jinja}
    return found


def read_train(declared: str, section: str, settings_of: Callable[..., dict[str, Any]] = settings_of_arm) -> Train:
    """The settings of `train`, or those of an arm whose own are at `section`. Raises UserError where they exclude
    each other.

    `settings_of`: what an arm takes over from `train`.
    """
    settings = value(declared, "train")
    if section != "train":
        settings = settings_of(settings, optional(declared, section, {}, file_of(section.split(".")[1])))
    try:
        return Train.model_validate(settings)
    except ValidationError as error:
        raise UserError(explain(error, PARAMS_FILE, section)) from error


def compose(train: Train, section: str, base: str, seed: int) -> tuple[dict[str, Any], str]:
    """The Axolotl keys of `train` (at `section` in params.yaml), and where they are, for messages. Raises UserError."""
    if train.config is None:
        return recipe(train, section), f"params.yaml: {section}.axolotl."
    try:
        content = yaml.safe_load(Path(train.config).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{train.config}: cannot be read as YAML: {error}") from error
    return own_recipe(train.config, content, train, base, seed), f"{train.config}: "


def main() -> None:
    args = arguments(__doc__, "section", "base", "recipe")
    train, loaded = read_train(args.params, args.section), pinned_loading(args.params, args.base)
    composed, where = compose(train, args.section, args.base, value(args.params, "random_seed"))
    composed = with_template(composed, load_tokenizer(args.base, **loaded), loaded["chat_template"] is not None)
    if loaded["revision"] is not None and not composed.get("gptq"):  # Axolotl refuses a revision of a GPTQ model
        composed["revision_of_model"] = loaded["revision"]
    composed |= {"trust_remote_code": True} if loaded["trust_remote_code"] else {}
    validate(run_config(composed, args.base, 0, 1, "train.jsonl", "val.jsonl", "work"), where)
    if train.config is None and train.budget.domain_epochs is not None:
        composed = with_domain_source(composed, optional(args.params, "mix.size_from", "domain"))
    write_text(yaml.safe_dump(composed, sort_keys=True, allow_unicode=True), args.recipe)


if __name__ == "__main__":
    run(main)
