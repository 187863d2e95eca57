# Fine-tune the base model on every arm's mixture.
from holdfast.params.arms import arm_and_seed, run_names


def training_runs():
    """Every arm, once per training seed."""
    return run_names(sorted(config["arms"]), config.get("training_seeds", 1))


def train_keys():
    return ",".join(["random_seed", "train", *loading_keys()])


rule recipe:
    """Is the training recipe one that Axolotl accepts? Asked first of all, because a typing error should not cost a night."""
    input:
        config=[config["train"]["config"]] if config["train"].get("config") else [],
        code=code("holdfast.steps.recipe") + code("holdfast.axolotl_plugin"),
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
        declared="random_seed,train",
        base=config["models"][config["base"]]["path"],
    shell:
        "exec envs/job recipe --env {input.env} --log {log} --"
        " python -m holdfast.steps.recipe --params {params.declared} --base {params.base} --recipe {output.recipe}"


rule train:
    """One run of Axolotl: an arm, or an arm with a further training seed (`<arm>-s1`)."""
    input:
        train=lambda w: f"data/mix/{arm_and_seed(w.run)[0]}/train.jsonl",
        val=lambda w: f"data/mix/{arm_and_seed(w.run)[0]}/val.jsonl",
        recipe="data/train/recipe.yaml",
        base=model_files(config["base"]),
        code=code("holdfast.steps.train") + code("holdfast.axolotl_plugin"),
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
        gpu=config["train"].get("gpus", 0),
    params:
        declared=train_keys(),
        base=config["models"][config["base"]]["path"],
    shell:
        "exec envs/job train-{wildcards.run} --env {input.env} --log {log} --"
        " python -m holdfast.steps.train --params {params.declared} --run {wildcards.run} --base {params.base}"
        " --recipe {input.recipe} --train {input.train} --val {input.val} --model {output.model} --curve {output.curve}"
