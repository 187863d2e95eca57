# Reconstruct: samples instructions from the base model.


def reconstruct_keys():
    settings = present("reconstruct.multi_turn", "reconstruct.sampling")
    return ",".join(["random_seed", "base", *model_keys(config["base"]), *settings])


rule reconstruct_shard:
    """Have the base model write one shard of the samples; they are left in the journal."""
    input:
        prompts="data/seed/prompts.parquet",
        model=model_files(config["base"]),
        env=env("inference"),
        stamp=".holdfast/stamps/reconstruct_shard-{shard}of{shards}",
    output:
        done="data/reconstruct/shards/{shard}of{shards}.json",
    log:
        "logs/reconstruct-{shard}of{shards}.log",
    benchmark:
        "benchmarks/reconstruct-{shard}of{shards}.tsv"
    resources:
        **model_resources(lambda w: config["base"]),
        gpu=gpus(config["base"]),
    params:
        code=code("holdfast.steps.reconstruct.shard"),
        declared=reconstruct_keys(),
    shell:
        "exec envs/job reconstruct_shard-{wildcards.shard}of{wildcards.shards} --env {input.env:q}"
        " --code {params.code} --log {log:q} --"
        " python -m holdfast.steps.reconstruct.shard --params {params.declared:q} --prompts {input.prompts:q}"
        " --shard {wildcards.shard}/{wildcards.shards} --earlier data/reconstruct/samples.parquet --done {output.done:q}"


rule reconstruct:
    """Have the base model continue the pre-query prefix until the user turn ends."""
    input:
        prompts="data/seed/prompts.parquet",
        model=model_files(config["base"]),
        shards=shard_files("reconstruct", config["base"]),
        env=env("inference"),
        stamp=".holdfast/stamps/reconstruct",
    output:
        samples="data/reconstruct/samples.parquet",
    log:
        "logs/reconstruct.log",
    benchmark:
        "benchmarks/reconstruct.tsv"
    resources:
        **model_resources(lambda w: config["base"]),
        gpu=merging_gpus(config["base"]),
    params:
        code=code("holdfast.steps.reconstruct"),
        declared=reconstruct_keys(),
    shell:
        "exec envs/job reconstruct --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.steps.reconstruct --params {params.declared:q} --prompts {input.prompts:q}"
        " --samples {output.samples:q}"
