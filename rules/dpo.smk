# DPO: arms that are trained on preference pairs, from the model of another arm on.
from holdfast.steps.train.dpo.params import settings_of_aligned


def aligned_arms():
    """The arms that are trained on preference pairs."""
    return sorted(arm for arm, settings in config["arms"].items() if "preferences" in settings)


def aligned_runs():
    """Every one of them, once per training seed: each starts from the run with the same seed."""
    return run_names(aligned_arms(), config.get("training_seeds", 1))


def run_aligning(wildcards):
    """The section `train` as it holds for the run's arm."""
    arm, _ = arm_and_seed(wildcards.run)
    return settings_of_aligned(config["train"], config["arms"][arm].get("train", {}))


def start_of(wildcards):
    """The model that the run starts from."""
    arm, _ = arm_and_seed(wildcards.run)
    return f"models/{config['arms'][arm]['preferences']['arm']}{wildcards.run.removeprefix(arm)}"


def aligning_resource_names():
    own = [config["train"], *(config["arms"][arm].get("train", {}) for arm in aligned_arms())]
    return {name for section in own for name in section.get("resources", {})}


rule dpo:
    """Run Axolotl on the pairs of one selection, for one arm and training seed."""
    input:
        pairs=lambda w: f"data/preferences/{config['arms'][arm_and_seed(w.run)[0]]['preferences']['selection']}.jsonl",
        recipe=lambda w: f"data/train/dpo/{arm_and_seed(w.run)[0]}.yaml",
        start=start_of,
        env=env("training"),
        stamp=".holdfast/stamps/dpo-{run}",
    output:
        model=directory("models/{run}"),
        curve="plots/train/{run}.csv",
        summary="data/train/dpo/{run}.json",
        rejected="data/train/dpo/{run}.rejected.parquet",
    log:
        "logs/train/dpo/{run}.log",
    benchmark:
        "benchmarks/train/dpo/{run}.tsv"
    wildcard_constraints:
        run="|".join(aligned_runs()) or "-",  # no run is called so
    resources:
        **own_resources(run_aligning, aligning_resource_names()),
        gpu=lambda w: run_aligning(w).get("gpus", 0),
    params:
        # as expensive as `train`: only the modules that shape the configuration, the pairs, the model folder and the run
        code=code(
            "holdfast.steps.train.dpo.config",
            "holdfast.steps.train.dpo.pairs",
            "holdfast.steps.train.dpo.trainer",
            "holdfast.steps.train.model_folder",
            "holdfast.steps.train.axolotl_plugin",
        ),
        declared=lambda w: ",".join([f"arms.{arm_and_seed(w.run)[0]}.preferences", train_keys(w)]),
    shell:
        "exec envs/job dpo-{wildcards.run} --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.steps.train.dpo --params {params.declared:q} --run {wildcards.run}"
        " --recipe {input.recipe:q} --start {input.start:q} --pairs {input.pairs:q} --model {output.model:q}"
        " --curve {output.curve:q} --rejected {output.rejected:q} --summary {output.summary:q}"
