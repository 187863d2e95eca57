"""dpo recipe: the Axolotl configuration of an arm that is trained on pairs, checked against Axolotl's own schema."""

import yaml

from holdfast.common.files import write_text
from holdfast.common.section import value
from holdfast.common.step import arguments, run
from holdfast.inference.params import declared_loading
from holdfast.steps.train.dpo.config import pair_recipe, pair_run_config
from holdfast.steps.train.dpo.params import settings_of_aligned
from holdfast.steps.train.recipe import compose, read_train, validate


def main() -> None:
    args = arguments(__doc__, "section", "base", "recipe")
    train = read_train(args.params, args.section, settings_of_aligned).model_copy(update={"evals": 0})
    composed, where = compose(train, args.section, args.base, value(args.params, "random_seed"))
    composed = pair_recipe(composed, where)
    if declared_loading(args.params)["trust_remote_code"]:
        composed["trust_remote_code"] = True
    validate(pair_run_config(composed, args.base, 0, 1, "pairs.jsonl", "work"), where)
    write_text(yaml.safe_dump(composed, sort_keys=True, allow_unicode=True), args.recipe)


if __name__ == "__main__":
    run(main)
