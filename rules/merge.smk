# Merge: arms without training, whose weights are averages of those of trained arms and the base model.


def merged_arms():
    """The arms that are averages of others."""
    return sorted(arm for arm, settings in config["arms"].items() if "merge" in settings)


def merged_runs():
    """Every one of them, once per training seed: an average is one of runs with the same seed."""
    return run_names(merged_arms(), config.get("training_seeds", 1))


def averaged_models(wildcards):
    """The models of the arms in the average."""
    arm, _ = arm_and_seed(wildcards.run)
    seed = wildcards.run.removeprefix(arm)
    return [f"models/{part}{seed}" for part in sorted(config["arms"][arm]["merge"])]


rule merge:
    """Average the weights of one arm and training seed; nothing is trained."""
    input:
        arms=averaged_models,
        base=model_files(config["base"]),
        env=env("training"),
        stamp=".holdfast/stamps/merge-{run}",
    output:
        model=directory("models/{run}"),
    log:
        "logs/merge/{run}.log",
    benchmark:
        "benchmarks/merge/{run}.tsv"
    wildcard_constraints:
        run="|".join(merged_runs()) or "-",  # no run is called so
    params:
        code=code("holdfast.steps.merge"),
        declared=lambda w: ",".join([f"arms.{arm_and_seed(w.run)[0]}.merge", *loading_keys()]),
        base=config["models"][config["base"]]["path"],
    shell:
        "exec envs/job merge-{wildcards.run} --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.steps.merge --params {params.declared:q} --run {wildcards.run} --base {params.base:q}"
        " --arms {input.arms:q} --model {output.model:q}"
