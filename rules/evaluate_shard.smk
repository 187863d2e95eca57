# Evaluate, with `models.<name>.shards` of the base model: several jobs ask, and `evaluate` grades.
rule evaluate_shard:
    """Have one model answer its shard of the suites' items; the answers are left in the journal."""
    input:
        model=lambda w: evaluated_files(w.arm),
        suites=suite_files(),
        env=env("inference"),
        stamp=".holdfast/stamps/evaluate_shard-{arm}-{shard}of{shards}",
    output:
        done="data/evaluate/shards/{arm}-{shard}of{shards}.json",
    log:
        "logs/evaluate/{arm}-{shard}of{shards}.log",
    benchmark:
        "benchmarks/evaluate/{arm}-{shard}of{shards}.tsv"
    wildcard_constraints:
        arm="|".join(evaluated()),
        shard=r"\d+",
        shards=r"\d+",
    resources:
        **model_resources(lambda w: config["base"]),
        gpu=gpus(config["base"]),
    params:
        code=code("holdfast.steps.evaluate.shard"),
        declared=",".join(["base", "evaluate", *model_keys(config["base"])]),
        model=lambda w: evaluated_model(w.arm),
    shell:
        "exec envs/job evaluate_shard-{wildcards.arm}-{wildcards.shard}of{wildcards.shards} --env {input.env:q}"
        " --code {params.code} --log {log:q} --"
        " python -m holdfast.steps.evaluate.shard --params {params.declared:q} --arm {wildcards.arm}"
        " --model {params.model:q} --shard {wildcards.shard}/{wildcards.shards} --done {output.done:q}"
