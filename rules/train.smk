# Fine-tune the base model on every arm's mixture.
from holdfast.common.run_names import arm_and_seed, run_names


def training_runs():
    """Every trained arm, once per training seed."""
    return run_names(trained_arms(), config.get("training_seeds", 1))


def run_training(wildcards):
    """The section `train` as it holds for the run's arm."""
    return arm_training(arm_and_seed(wildcards.run)[0])


def train_keys(wildcards):
    """The keys that decide a run besides the recipe, the mixture and the base model."""
    sections = ("train", f"arms.{arm_and_seed(wildcards.run)[0]}.train")
    own = present(*(f"{section}.{key}" for section in sections for key in ("gpus", "merge")))
    return ",".join(["random_seed", *own, *loading_keys()])


def train_resource_names():
    """The names of the resources that any arm sets."""
    return {name for arm in trained_arms() for name in arm_training(arm).get("resources", {})}


rule train:
    """Run Axolotl for one arm and training seed (`<arm>`, `<arm>-s1`, …)."""
    input:
        train=lambda w: f"data/mix/{arm_and_seed(w.run)[0]}/train.jsonl",
        val=lambda w: f"data/mix/{arm_and_seed(w.run)[0]}/val.jsonl",
        recipe=lambda w: arm_recipe_file(arm_and_seed(w.run)[0]),
        base=model_files(config["base"]),
        env=env("training"),
        stamp=".holdfast/stamps/train-{run}",
    output:
        model=directory("models/{run}"),
        curve="plots/train/{run}.csv",
    log:
        "logs/train/{run}.log",
    benchmark:
        "benchmarks/train/{run}.tsv"
    wildcard_constraints:
        run="|".join(training_runs()),
    resources:
        **own_resources(run_training, train_resource_names()),
        gpu=lambda w: run_training(w).get("gpus", 0),
    params:
        # the most expensive job: only the modules that shape the configuration, the model folder and the run
        code=code(
            "holdfast.steps.train.run_config",
            "holdfast.steps.train.model_folder",
            "holdfast.steps.train.axolotl_plugin",
        ),
        declared=train_keys,
        base=config["models"][config["base"]]["path"],
    shell:
        "exec envs/job train-{wildcards.run} --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.steps.train --params {params.declared:q} --run {wildcards.run} --base {params.base:q}"
        " --recipe {input.recipe:q} --train {input.train:q} --val {input.val:q} --model {output.model:q}"
        " --curve {output.curve:q}"
