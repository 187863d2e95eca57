# The Axolotl configuration of each arm that is trained on preference pairs.


rule dpo_recipe:
    """Compose the Axolotl configuration of one arm and check it against Axolotl's schema, before anything expensive."""
    input:
        config=lambda w: config["arms"][w.arm].get("train", {}).get("config") or [],
        base=model_files(config["base"]),
        env=env("training"),
        stamp=".holdfast/stamps/dpo_recipe-{arm}",
    output:
        recipe="data/train/dpo/{arm}.yaml",
    log:
        "logs/train/dpo/{arm}.recipe.log",
    benchmark:
        "benchmarks/train/dpo/{arm}.recipe.tsv"
    priority: 100
    params:
        code=code("holdfast.steps.train.dpo.recipe"),
        declared=lambda w: ",".join(["random_seed", "train", f"arms.{w.arm}.train", *loading_keys()]),
        base=config["models"][config["base"]]["path"],
    shell:
        "exec envs/job dpo_recipe-{wildcards.arm} --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.steps.train.dpo.recipe --params {params.declared:q} --section arms.{wildcards.arm}.train"
        " --base {params.base:q} --recipe {output.recipe:q}"
