# Evaluate: tests the base model (arm `base`) and every arm on the same suites, one job per model.
from holdfast.common.run_names import run_names


def evaluated_model(arm):
    return config["models"][config["base"]]["path"] if arm == "base" else f"models/{arm}"


def evaluated_files(arm):
    return model_files(config["base"]) if arm == "base" else f"models/{arm}"


def evaluated():
    """The base model, and every arm once per training seed."""
    return ["base", *run_names(sorted(config["arms"]), config.get("training_seeds", 1))]


def evaluate_judges():
    return sorted({suite["judge"] for suite in config["evaluate"]["suites"].values() if suite["kind"] == "judge"})


def evaluating_gpus():
    """GPUs of each model that the job starts. Where shards have answered, only the harness loads the base model again."""
    harness = any(suite["kind"] == "lm_eval" for suite in config["evaluate"]["suites"].values())
    own = gpus if harness else merging_gpus
    return [own(config["base"]), *map(gpus, evaluate_judges())]


def suite_files():
    suites = config["evaluate"]["suites"].values()
    return sorted({suite[key] for suite in suites for key in ("path", "rubric", "include_path") if suite.get(key)})


def evaluate_keys():
    models = sorted({config["base"], *evaluate_judges()})
    return ",".join(["base", "evaluate", *(key for model in models for key in model_keys(model))])


rule evaluate:
    """Run every suite on one model and grade the answers."""
    input:
        model=lambda w: evaluated_files(w.arm),
        shards=lambda w: shard_files("evaluate", config["base"], f"{w.arm}-"),
        judges=[file for judge in evaluate_judges() for file in model_files(judge)],
        suites=suite_files(),
        env=env("inference"),
        stamp=".holdfast/stamps/evaluate-{arm}",
    output:
        table="data/evaluate/{arm}.parquet",
        samples="data/evaluate/{arm}.harness.jsonl",
        metrics="metrics/{arm}.json",
    log:
        "logs/evaluate/{arm}.log",
    benchmark:
        "benchmarks/evaluate/{arm}.tsv"
    wildcard_constraints:
        arm="|".join(evaluated()),
    resources:
        **model_resources(lambda w: config["base"]),
        gpu=max(evaluating_gpus()),  # they run one after the other
    params:
        code=code("holdfast.steps.evaluate"),
        declared=evaluate_keys(),
        model=lambda w: evaluated_model(w.arm),
    shell:
        "exec envs/job evaluate-{wildcards.arm} --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.steps.evaluate --params {params.declared:q} --arm {wildcards.arm} --model {params.model:q}"
        " --table {output.table:q} --samples {output.samples:q} --metrics {output.metrics:q}"
