# Fine-tune the base model on every arm's mixture.
from holdfast.common.run_names import arm_and_seed, run_names


def training_runs():
    """Every arm, once per training seed."""
    return run_names(sorted(config["arms"]), config.get("training_seeds", 1))


def train_keys():
    """The keys that decide a run besides the recipe, the mixture and the base model."""
    return ",".join(["random_seed", *present("train.gpus", "train.merge"), *loading_keys()])


rule recipe:
    """Compose the Axolotl configuration of all runs and check it against Axolotl's schema, before anything expensive."""
    input:
        config=[config["train"]["config"]] if config["train"].get("config") else [],
        base=model_files(config["base"]),
        env=env("training"),
        stamp=".holdfast/stamps/recipe",
    output:
        recipe="data/train/recipe.yaml",
    log:
        "logs/train/recipe.log",
    benchmark:
        "benchmarks/train/recipe.tsv"
    priority: 100
    params:
        code=code("holdfast.steps.train.recipe"),
        declared=",".join(["random_seed", "train", *loading_keys()]),
        base=config["models"][config["base"]]["path"],
    shell:
        "exec envs/job recipe --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.steps.train.recipe --params {params.declared:q} --base {params.base:q}"
        " --recipe {output.recipe:q}"


rule train:
    """Run Axolotl for one arm and training seed (`<arm>`, `<arm>-s1`, …)."""
    input:
        train=lambda w: f"data/mix/{arm_and_seed(w.run)[0]}/train.jsonl",
        val=lambda w: f"data/mix/{arm_and_seed(w.run)[0]}/val.jsonl",
        recipe="data/train/recipe.yaml",
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
        **own_resources(lambda w: config["train"], config["train"].get("resources", {})),
        gpu=config["train"].get("gpus", 0),
    params:
        # the most expensive job: only the modules that shape the configuration, the model folder and the run
        code=code(
            "holdfast.steps.train.run_config",
            "holdfast.steps.train.model_folder",
            "holdfast.steps.train.axolotl_plugin",
        ),
        declared=train_keys(),
        base=config["models"][config["base"]]["path"],
    shell:
        "exec envs/job train-{wildcards.run} --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.steps.train --params {params.declared:q} --run {wildcards.run} --base {params.base:q}"
        " --recipe {input.recipe:q} --train {input.train:q} --val {input.val:q} --model {output.model:q}"
        " --curve {output.curve:q}"
