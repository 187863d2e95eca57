"""train: one Axolotl run on one mixture; a killed run is resumed from its last checkpoint."""

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from holdfast.common.errors import UserError
from holdfast.common.files import replacing, write_text
from holdfast.common.run_names import arm_and_seed
from holdfast.common.section import value
from holdfast.common.step import arguments, run
from holdfast.common.wording import counted
from holdfast.inference.params import declared_loading
from holdfast.steps.train.launch import run_settings, train_to_the_end, whole_curve, work_folder
from holdfast.steps.train.model_folder import assemble
from holdfast.steps.train.passes import budget_of, by_mixture
from holdfast.steps.train.run_config import run_config


def wrapped_template(base: str, declared: str, recipe: dict[str, Any]) -> str | None:
    """The base model's own chat template, where the recipe trains with one that is wrapped around it."""
    if "chat_template_jinja" not in recipe:
        return None
    from holdfast.chat.template import load_tokenizer  # imports torch, which takes seconds

    loaded = declared_loading(declared) | {"revision": recipe.get("revision_of_model")}  # the commit that is trained
    template = load_tokenizer(base, **loaded).chat_template
    return template if isinstance(template, str) and recipe["chat_template_jinja"].endswith(template) else None


def main() -> None:
    args = arguments(__doc__, "run", "base", "recipe", "train", "val", "model", "curve")
    arm, nth = arm_and_seed(args.run)
    gpus, merge, launcher = run_settings(args.params, arm)
    seed = value(args.params, "random_seed") + nth
    shared = yaml.safe_load(Path(args.recipe).read_text(encoding="utf-8"))
    rows, held = (Path(path).read_bytes().count(b"\n") for path in (args.train, args.val))
    if not rows:
        raise UserError(f"{args.train}: has no rows, so training is impossible; see its rejected.parquet")
    with open(args.train, encoding="utf-8") as lines:
        recipe = by_mixture(shared, lines, max(gpus, 1))
    template = wrapped_template(args.base, args.params, recipe)
    val = args.val if held else None

    inputs = (args.train, args.val, args.base)
    composed = partial(run_config, recipe, args.base, seed, rows, args.train, val)
    work = work_folder(args.run, composed(""), *inputs)
    (work / "axolotl.yaml").write_text(yaml.safe_dump(composed(str(work))), encoding="utf-8")
    merge = bool(recipe.get("adapter")) and merge
    ended = train_to_the_end(work, args.run, gpus, launcher, merge)
    about = {"arm": arm, "training_seed": nth, "seed": seed, "base": args.base, "rows": rows}
    about |= {
        "steps": ended["steps"],
        "epochs": ended["epochs"],
        "equal": budget_of(shared),
    }
    about |= {"adapter": recipe.get("adapter"), "merged": merge}
    with replacing(args.model) as folder:
        assemble(work / "output", Path(args.base), merge, folder, template)
        (folder / "holdfast.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    write_text(whole_curve(ended), args.curve)
    shutil.rmtree(work)
    print(
        f"train {args.run}: {counted(ended['steps'], 'step')}, {ended['epochs']:.2f} epochs of {counted(rows, 'row')}",
        flush=True,
    )


if __name__ == "__main__":
    run(main)
