# Which answer is worth keeping?
def competing(wildcards):
    """The models whose candidates a selection lets in."""
    return sorted(config["filter"][wildcards.selection].get("models") or config["generate"]["models"])


def judging(wildcards):
    """The judges whose scores a selection uses."""
    judges = config["filter"][wildcards.selection].get("judges")
    return sorted(config["score"]["judges"] if judges is None else judges)


rule filter:
    """Put the judges' scores together and keep the best candidate of each instruction."""
    input:
        instructions="data/reconstruct/instructions.parquet",
        generations=lambda w: expand("data/generate/{model}.parquet", model=competing(w)),
        scores=lambda w: expand("data/score/{judge}.parquet", judge=judging(w)),
        code=code("holdfast.steps.filter"),
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
        declared="random_seed,filter.{selection}",
    shell:
        "exec envs/job filter-{wildcards.selection} --env {input.env} --log {log} --"
        " python -m holdfast.steps.filter --params {params.declared} --selection {wildcards.selection}"
        " --instructions {input.instructions} --generations {input.generations} --scores {input.scores}"
        " --selected {output.selected} --rejected {output.rejected}"


rule committee:
    """Lay out every judge's score of every candidate, and measure the judges by it."""
    input:
        instructions="data/reconstruct/instructions.parquet",
        generations=expand("data/generate/{model}.parquet", model=sorted(config["generate"]["models"])),
        scores=expand("data/score/{judge}.parquet", judge=sorted(config["score"]["judges"])),
        selected="data/filter/selected.parquet",
        rejected="data/filter/selected.rejected.parquet",
        code=code("holdfast.steps.committee"),
        env=env("core"),
        stamp=".holdfast/stamps/committee",
    output:
        cube="data/filter/cube.parquet",
        metrics="metrics/filter.json",
    log:
        "logs/committee.log",
    benchmark:
        "benchmarks/committee.tsv"
    params:
        declared="random_seed,filter.selected",
    shell:
        "exec envs/job committee --env {input.env} --log {log} --"
        " python -m holdfast.steps.committee --params {params.declared}"
        " --instructions {input.instructions} --generations {input.generations} --scores {input.scores}"
        " --selected {input.selected} --rejected {input.rejected} --cube {output.cube} --metrics {output.metrics}"
