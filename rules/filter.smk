# Filter: keeps the best answer to each instruction.
def competing(wildcards):
    """The models whose answers are candidates of a selection."""
    return sorted(config["filter"][wildcards.selection].get("models") or config["generate"]["models"])


def judging(wildcards):
    """The judges whose scores a selection uses."""
    judges = config["filter"][wildcards.selection].get("judges")
    return sorted(config["score"]["judges"] if judges is None else judges)


rule filter:
    """Aggregate the judges' scores and keep the best candidate of each instruction."""
    input:
        instructions="data/clean/instructions.parquet",
        generations=lambda w: expand("data/generate/{model}.parquet", model=competing(w)),
        scores=lambda w: expand("data/score/{judge}.parquet", judge=judging(w)),
        env=env("core"),
        stamp=".holdfast/stamps/filter-{selection}",
    output:
        selected="data/filter/{selection}.parquet",
        rejected="data/filter/{selection}.rejected.parquet",
    log:
        "logs/filter/{selection}.log",
    benchmark:
        "benchmarks/filter/{selection}.tsv"
    wildcard_constraints:
        selection="|".join(sorted(config["filter"])),
    params:
        code=code("holdfast.steps.filter"),
        declared="random_seed,filter.{selection}",
    shell:
        "exec envs/job filter-{wildcards.selection} --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.steps.filter --params {params.declared:q} --selection {wildcards.selection}"
        " --instructions {input.instructions:q} --generations {input.generations:q} --scores {input.scores:q}"
        " --selected {output.selected:q} --rejected {output.rejected:q}"


rule judge_statistics:
    """All scores of all judges in one table, and the judges' agreement, severity and self-preference."""
    input:
        instructions="data/clean/instructions.parquet",
        generations=expand("data/generate/{model}.parquet", model=sorted(config["generate"]["models"])),
        scores=expand("data/score/{judge}.parquet", judge=sorted(config["score"]["judges"])),
        selected="data/filter/selected.parquet",
        rejected="data/filter/selected.rejected.parquet",
        env=env("core"),
        stamp=".holdfast/stamps/judge_statistics",
    output:
        all_scores="data/filter/all_scores.parquet",
        metrics="metrics/filter.json",
    log:
        "logs/filter/judge_statistics.log",
    benchmark:
        "benchmarks/filter/judge_statistics.tsv"
    params:
        code=code("holdfast.steps.filter.judge_statistics"),
        declared="random_seed,filter.selected",
    shell:
        "exec envs/job judge_statistics --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.steps.filter.judge_statistics --params {params.declared:q}"
        " --instructions {input.instructions:q} --generations {input.generations:q} --scores {input.scores:q}"
        " --selected {input.selected:q} --rejected {input.rejected:q}"
        " --all-scores {output.all_scores:q} --metrics {output.metrics:q}"
