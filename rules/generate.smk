# Generate: the committee models answer every instruction.
def generate_keys(wildcards):
    """The keys of `generate` that params.yaml has; of the models only the job's own."""
    shared = sorted(f"generate.{key}" for key in config["generate"] if key != "models")
    own = [f"generate.models.{wildcards.model}", *model_keys(wildcards.model)]
    return dict.fromkeys(["random_seed", *shared, *own])


rule generate_shard:
    """Have one committee model answer its shard of the instructions; the answers are left in the journal."""
    input:
        instructions="data/clean/instructions.parquet",
        model=lambda w: model_files(w.model),
        env=env("inference"),
        stamp=".holdfast/stamps/generate_shard-{model}-{shard}of{shards}",
    output:
        done="data/generate/shards/{model}-{shard}of{shards}.json",
    log:
        "logs/generate/{model}-{shard}of{shards}.log",
    benchmark:
        "benchmarks/generate/{model}-{shard}of{shards}.tsv"
    wildcard_constraints:
        shard=r"\d+",
        shards=r"\d+",
    resources:
        **model_resources(lambda w: w.model),
        gpu=lambda w: gpus(w.model),
    params:
        code=code("holdfast.steps.generate.shard"),
        declared=lambda w: ",".join(generate_keys(w)),
        earlier="data/generate/{model}.parquet",
    shell:
        "exec envs/job generate_shard-{wildcards.model}-{wildcards.shard}of{wildcards.shards} --env {input.env:q}"
        " --code {params.code} --log {log:q} --"
        " python -m holdfast.steps.generate.shard --params {params.declared:q} --model {wildcards.model}"
        " --instructions {input.instructions:q} --shard {wildcards.shard}/{wildcards.shards}"
        " --earlier {params.earlier:q} --done {output.done:q}"


rule generate:
    """Have one committee model answer every instruction."""
    input:
        instructions="data/clean/instructions.parquet",
        model=lambda w: model_files(w.model),
        base=model_files(config["base"]),
        shards=lambda w: shard_files("generate", w.model, f"{w.model}-"),
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
        **model_resources(lambda w: w.model),
        gpu=lambda w: merging_gpus(w.model),
    params:
        code=code("holdfast.steps.generate"),
        declared=lambda w: ",".join(dict.fromkeys([*generate_keys(w), "base", *loading_keys()])),
        base=config["models"][config["base"]]["path"],
    shell:
        "exec envs/job generate-{wildcards.model} --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.steps.generate --params {params.declared:q} --model {wildcards.model}"
        " --base {params.base:q} --instructions {input.instructions:q} --generations {output.generations:q} --rejected {output.rejected:q}"
