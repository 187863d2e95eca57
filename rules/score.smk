# Score: the judges score every answer.
def score_keys(wildcards):
    """The keys of `score` that params.yaml has; of the judges only the job's own."""
    shared = sorted(f"score.{key}" for key in config["score"] if key != "judges")
    own = [f"score.judges.{wildcards.judge}", *model_keys(wildcards.judge)]
    return ",".join(["random_seed", *shared, *own])


rule score_shard:
    """Have one judge score its shard of the answers; the scores are left in the journal."""
    input:
        instructions="data/clean/instructions.parquet",
        generations=expand("data/generate/{model}.parquet", model=sorted(config["generate"]["models"])),
        rubric=config["score"].get("rubric", "data/seed/rubric.md"),
        model=lambda w: model_files(w.judge),
        env=env("inference"),
        stamp=".holdfast/stamps/score_shard-{judge}-{shard}of{shards}",
    output:
        done="data/score/shards/{judge}-{shard}of{shards}.json",
    log:
        "logs/score/{judge}-{shard}of{shards}.log",
    benchmark:
        "benchmarks/score/{judge}-{shard}of{shards}.tsv"
    wildcard_constraints:
        shard=r"\d+",
        shards=r"\d+",
    resources:
        **model_resources(lambda w: w.judge),
        gpu=lambda w: gpus(w.judge),
    params:
        code=code("holdfast.steps.score.shard"),
        declared=score_keys,
        earlier="data/score/{judge}.parquet",
    shell:
        "exec envs/job score_shard-{wildcards.judge}-{wildcards.shard}of{wildcards.shards} --env {input.env:q}"
        " --code {params.code} --log {log:q} --"
        " python -m holdfast.steps.score.shard --params {params.declared:q} --judge {wildcards.judge}"
        " --rubric {input.rubric:q} --instructions {input.instructions:q} --generations {input.generations:q}"
        " --shard {wildcards.shard}/{wildcards.shards} --earlier {params.earlier:q} --done {output.done:q}"


rule score:
    """Have one judge score every answer of every model; equal answers to an instruction are scored once."""
    input:
        instructions="data/clean/instructions.parquet",
        generations=expand("data/generate/{model}.parquet", model=sorted(config["generate"]["models"])),
        rubric=config["score"].get("rubric", "data/seed/rubric.md"),
        model=lambda w: model_files(w.judge),
        shards=lambda w: shard_files("score", w.judge, f"{w.judge}-"),
        env=env("inference"),
        stamp=".holdfast/stamps/score-{judge}",
    output:
        scores="data/score/{judge}.parquet",
    log:
        "logs/score/{judge}.log",
    benchmark:
        "benchmarks/score/{judge}.tsv"
    resources:
        **model_resources(lambda w: w.judge),
        gpu=lambda w: merging_gpus(w.judge),
    params:
        code=code("holdfast.steps.score"),
        declared=score_keys,
    shell:
        "exec envs/job score-{wildcards.judge} --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.steps.score --params {params.declared:q} --judge {wildcards.judge} --rubric {input.rubric:q}"
        " --instructions {input.instructions:q} --generations {input.generations:q} --scores {output.scores:q}"
