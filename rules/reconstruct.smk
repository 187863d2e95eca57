# Which user turns does the base model write?


def reconstruct_keys():
    keys = [f"reconstruct.{key}" for key in ("multi_turn", "sampling") if key in config["reconstruct"]]
    return ",".join(["random_seed", "base", *model_keys(config["base"]), *keys])


rule reconstruct:
    """The base model continues the pre-query prefix until it ends the user's turn."""
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
        "exec envs/job reconstruct --env {input.env} --code {params.code} --log {log} --"
        " python -m holdfast.steps.reconstruct --params {params.declared:q} --prompts {input.prompts:q}"
        " --samples {output.samples:q}"
