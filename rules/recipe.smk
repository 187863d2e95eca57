# The Axolotl configurations: one that arms share, and one for each arm with training settings of its own.
from holdfast.steps.train.params import settings_of_arm


def arm_training(arm):
    """The section `train` as it holds for the arm."""
    return settings_of_arm(config["train"], config["arms"][arm].get("train", {}))


def arm_recipe_file(arm):
    return f"data/train/recipes/{arm}.yaml" if config["arms"][arm].get("train") else "data/train/recipe.yaml"


def recipe_keys():
    return ["random_seed", "train", *present("mix.size_from"), *loading_keys()]


rule recipe:
    """Compose the Axolotl configuration that arms share and check it against Axolotl's schema, before anything expensive."""
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
        declared=",".join(recipe_keys()),
        base=config["models"][config["base"]]["path"],
    shell:
        "exec envs/job recipe --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.steps.train.recipe --params {params.declared:q} --section train --base {params.base:q}"
        " --recipe {output.recipe:q}"


rule arm_recipe:
    """The same for one arm with settings of its own (`arms.<name>.train`)."""
    input:
        config=lambda w: arm_training(w.arm).get("config") or [],
        base=model_files(config["base"]),
        env=env("training"),
        stamp=".holdfast/stamps/arm_recipe-{arm}",
    output:
        recipe="data/train/recipes/{arm}.yaml",
    log:
        "logs/train/recipes/{arm}.log",
    benchmark:
        "benchmarks/train/recipes/{arm}.tsv"
    priority: 100
    params:
        code=code("holdfast.steps.train.recipe"),
        declared=lambda w: ",".join([*recipe_keys(), f"arms.{w.arm}.train"]),
        base=config["models"][config["base"]]["path"],
    shell:
        "exec envs/job arm_recipe-{wildcards.arm} --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.steps.train.recipe --params {params.declared:q} --section arms.{wildcards.arm}.train"
        " --base {params.base:q} --recipe {output.recipe:q}"
