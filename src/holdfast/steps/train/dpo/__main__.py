"""dpo: one Axolotl run on preference pairs, from another arm's model on; a killed run is resumed from its last
checkpoint.

Writes the model's folder, the loss curve, the pairs that were left out (`REJECTED`) and a summary of the run.
"""

import hashlib
import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from holdfast.chat.template import Template, load_tokenizer
from holdfast.chat.training_template import DATE
from holdfast.common.arm_file import file_of
from holdfast.common.errors import UserError
from holdfast.common.files import replacing, write_json, write_table, write_text
from holdfast.common.run_names import arm_and_seed
from holdfast.common.section import value
from holdfast.common.step import arguments, run
from holdfast.common.wording import counted
from holdfast.inference.params import declared_loading
from holdfast.steps.train.dpo.config import pair_run_config
from holdfast.steps.train.dpo.pairs import REJECTED, Pairs, tokenised
from holdfast.steps.train.launch import run_settings, train_to_the_end, whole_curve, work_folder
from holdfast.steps.train.model_folder import assemble


def read_pairs(path: str, template: Template, limit: int) -> Pairs:
    """The pairs in a file of the step preferences. Raises UserError where none can be used."""
    with open(path, encoding="utf-8") as lines:
        pairs = tokenised(lines, template, limit)
    if not pairs.rows:
        counts = ", ".join(
            f"{n:,} {reason}" for reason, n in pairs.rejected["reason"].value_counts().sort("reason").rows()
        )
        raise UserError(f"{path}: none of its pairs can be trained on ({counts or 'it is empty'})")
    return pairs


def preferred(log: list[dict[str, Any]]) -> dict[str, float | None]:
    """How the model sees its training pairs at the end, by the last line of the log that says so."""
    last: dict[str, Any] = next((entry for entry in reversed(log) if "rewards/accuracies" in entry), {})
    return {name: last.get(f"rewards/{name}") for name in ("accuracies", "margins")}


def main() -> None:
    args = arguments(__doc__, "run", "recipe", "start", "pairs", "model", "curve", "rejected", "summary")
    arm, nth = arm_and_seed(args.run)
    gpus, merge, launcher = run_settings(args.params, arm)
    seed = value(args.params, "random_seed") + nth
    selection = value(args.params, f"arms.{arm}.preferences", file_of(arm))["selection"]
    recipe = yaml.safe_load(Path(args.recipe).read_text(encoding="utf-8"))
    loaded = declared_loading(args.params) | {"revision": None}  # the start is a folder
    template = Template(load_tokenizer(args.start, **loaded), date=DATE)
    pairs = read_pairs(args.pairs, template, recipe["sequence_len"])
    lines = "".join(json.dumps(row) + "\n" for row in pairs.rows)

    composed = partial(pair_run_config, recipe, args.start, seed, len(pairs.rows))
    identity = composed("", "") | {"holdfast_pairs": hashlib.sha256(lines.encode()).hexdigest()}
    work = work_folder(args.run, identity, args.start)
    (work / "pairs.jsonl").write_text(lines, encoding="utf-8")
    config = composed(str(work / "pairs.jsonl"), str(work))
    (work / "axolotl.yaml").write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    merge = bool(recipe.get("adapter")) and merge
    ended = train_to_the_end(work, args.run, gpus, launcher, merge)

    about = {"arm": arm, "training_seed": nth, "seed": seed, "start": args.start, "selection": selection}
    about |= {"pairs": len(pairs.rows), "steps": ended["steps"], "epochs": ended["epochs"]}
    about |= {"adapter": recipe.get("adapter"), "merged": merge}
    with replacing(args.model) as folder:
        assemble(work / "output", Path(args.start), merge, folder, None)
        (folder / "holdfast.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    write_text(whole_curve(ended), args.curve)
    write_table(pairs.rejected, args.rejected, REJECTED)
    found = {key: about[key] for key in ("arm", "start", "selection", "pairs", "steps", "epochs")}
    found |= {"rejected": pairs.rejected.height, "tokens": pairs.tokens, **preferred(ended["log"])}
    write_json(found, args.summary)
    shutil.rmtree(work)
    print(
        f"train {args.run}: {counted(ended['steps'], 'step')}, {ended['epochs']:.2f} epochs of"
        f" {counted(len(pairs.rows), 'pair')} from {args.start} on",
        flush=True,
    )


if __name__ == "__main__":
    run(main)
