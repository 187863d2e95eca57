# Generate: the committee models answer every instruction.
def generate_keys(wildcards):
    """The keys of `generate` that params.yaml has; of the models only the job's own."""
    shared = sorted(f"generate.{key}" for key in config["generate"] if key != "models")
    own = [f"generate.models.{wildcards.model}", *model_keys(wildcards.model)]
    return ",".join(["random_seed", *shared, *own])


rule generate:
    """Have one committee model answer every instruction."""
    input:
        instructions="data/clean/instructions.parquet",
        model=lambda w: model_files(w.model),
        env=env("inference"),
        stamp=".holdfast/stamps/generate-{model}",
    output:
        generations="data/generate/{model}.parquet",
        rejected="data/generate/{model}.rejected.parquet",
    log:
        "logs/generate/{model}.log",
    benchmark:
        "benchmarks/generate/{model}.tsv"
    resources:
        gpu=lambda w: gpus(w.model),
    params:
        code=code("holdfast.steps.generate"),
        declared=generate_keys,
    shell:
        "exec envs/job generate-{wildcards.model} --env {input.env} --code {params.code} --log {log} --"
        " python -m holdfast.steps.generate --params {params.declared:q} --model {wildcards.model}"
        " --instructions {input.instructions:q} --generations {output.generations:q} --rejected {output.rejected:q}"
