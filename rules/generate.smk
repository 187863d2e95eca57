# Generate: the committee models answer every instruction.
def generate_keys(wildcards):
    """The keys of `generate` that params.yaml has, of the models only the job's own, and the base's tokenizer."""
    shared = sorted(f"generate.{key}" for key in config["generate"] if key != "models")
    own = [f"generate.models.{wildcards.model}", *model_keys(wildcards.model)]
    return ",".join(dict.fromkeys(["random_seed", "base", *shared, *own, *loading_keys()]))


rule generate:
    """Have one committee model answer every instruction."""
    input:
        instructions="data/clean/instructions.parquet",
        model=lambda w: model_files(w.model),
        base=model_files(config["base"]),
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
        base=config["models"][config["base"]]["path"],
    shell:
        "exec envs/job generate-{wildcards.model} --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.steps.generate --params {params.declared:q} --model {wildcards.model}"
        " --base {params.base:q} --instructions {input.instructions:q} --generations {output.generations:q} --rejected {output.rejected:q}"
