# Reconstruct: samples instructions from the base model.


def reconstruct_keys():
    settings = present("reconstruct.multi_turn", "reconstruct.sampling")
    return ",".join(["random_seed", "base", *model_keys(config["base"]), *settings])


rule reconstruct:
    """Have the base model continue the pre-query prefix until the user turn ends."""
    input:
        prompts="data/seed/prompts.parquet",
        model=model_files(config["base"]),
        env=env("inference"),
        stamp=".holdfast/stamps/reconstruct",
    output:
        samples="data/reconstruct/samples.parquet",
    log:
        "logs/reconstruct.log",
    benchmark:
        "benchmarks/reconstruct.tsv"
    resources:
        gpu=gpus(config["base"]),
    params:
        code=code("holdfast.steps.reconstruct"),
        declared=reconstruct_keys(),
    shell:
        "exec envs/job reconstruct --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.steps.reconstruct --params {params.declared:q} --prompts {input.prompts:q}"
        " --samples {output.samples:q}"
