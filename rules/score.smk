# What does each judge think of each answer?
def score_keys(wildcards):
    """Every key of `score` that params.yaml holds, but of the judges only the job's own."""
    shared = sorted(f"score.{key}" for key in config["score"] if key != "judges")
    own = [f"score.judges.{wildcards.judge}", *model_keys(wildcards.judge)]
    return ",".join(["random_seed", *shared, *own])


rule score:
    """One judge scores every answer of every model; identical answers are asked once."""
    input:
        instructions="data/clean/instructions.parquet",
        generations=expand("data/generate/{model}.parquet", model=sorted(config["generate"]["models"])),
        rubric=config["score"].get("rubric", "data/seed/rubric.md"),
        model=lambda w: model_files(w.judge),
        env=env("inference"),
        stamp=".holdfast/stamps/score-{judge}",
    output:
        scores="data/score/{judge}.parquet",
    log:
        "logs/score/{judge}.log",
    benchmark:
        "benchmarks/score/{judge}.tsv"
    resources:
        gpu=lambda w: gpus(w.judge),
    params:
        code=code("holdfast.steps.score"),
        declared=score_keys,
    shell:
        "exec envs/job score-{wildcards.judge} --env {input.env} --code {params.code} --log {log} --"
        " python -m holdfast.steps.score --params {params.declared:q} --judge {wildcards.judge} --rubric {input.rubric:q}"
        " --instructions {input.instructions:q} --generations {input.generations:q} --scores {output.scores:q}"
