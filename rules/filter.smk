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
        selection="(?!cube$)[a-z0-9_]+",
    params:
        keys="random_seed,filter.{selection}",
    shell:
        "envs/job filter-{wildcards.selection} --env core --log {log} --"
        " python -m holdfast.steps.filter --params {params.keys} --selection {wildcards.selection}"
        " --instructions {input.instructions} --generations {input.generations} --scores {input.scores}"
        " --selected {output.selected} --rejected {output.rejected}"
