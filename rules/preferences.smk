# Preferences: pairs of a preferred and a rejected answer, where params.yaml has the section `preferences`.
from snakemake.exceptions import WorkflowError


def paired():
    """The selections whose pairs are written."""
    return sorted(config.get("preferences", {}).get("selections", []))


def paired_files(wildcards):
    if not paired():
        raise WorkflowError("params.yaml: has no section preferences; add `preferences: {selections: [selected]}`")
    return expand("data/preferences/{selection}.jsonl", selection=paired())


def preference_keys(wildcards):
    """The seed, the margin, and the licences of the models whose answers are candidates."""
    licences = [f"models.{name}.licence" for name in competing(wildcards)]
    return ",".join(["random_seed", *present("preferences.min_margin", *licences)])


localrules:
    preferences,


rule preferences:
    """The pairs only: no mixture, no training."""
    input:
        paired_files,


rule pairs:
    """Pair each kept answer with the one that the judges like least."""
    input:
        selected="data/filter/{selection}.parquet",
        others="data/filter/{selection}.rejected.parquet",
        env=env("core"),
        stamp=".holdfast/stamps/pairs-{selection}",
    output:
        pairs="data/preferences/{selection}.jsonl",
        table="data/preferences/{selection}.parquet",
        rejected="data/preferences/{selection}.rejected.parquet",
        card="data/preferences/{selection}.md",
    log:
        "logs/preferences/{selection}.log",
    benchmark:
        "benchmarks/preferences/{selection}.tsv"
    wildcard_constraints:
        selection="|".join(sorted(config["filter"])),
    params:
        code=code("holdfast.steps.preferences"),
        declared=preference_keys,
    shell:
        "exec envs/job pairs-{wildcards.selection} --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.steps.preferences --params {params.declared:q} --selection {wildcards.selection}"
        " --selected {input.selected:q} --others {input.others:q} --pairs {output.pairs:q} --table {output.table:q}"
        " --rejected {output.rejected:q} --card {output.card:q}"
