"""The whole pipeline. Each rule file is one step; docs/architecture.md has a line for each, and the rule graph."""


configfile: "params.yaml"


include: "rules/common.smk"
include: "rules/models.smk"
include: "rules/sandbox.smk"
include: "rules/sandbox_models.smk"
include: "rules/seed.smk"
include: "rules/reconstruct.smk"
include: "rules/suite_items.smk"
include: "rules/clean.smk"
include: "rules/generate.smk"
include: "rules/score.smk"
include: "rules/filter.smk"
include: "rules/preferences.smk"
include: "rules/sandbox_truth.smk"
include: "rules/mix.smk"
include: "rules/recipe.smk"
include: "rules/train.smk"
include: "rules/dpo_recipe.smk"
include: "rules/dpo.smk"
include: "rules/merge.smk"
include: "rules/evaluate.smk"
include: "rules/evaluate_shard.smk"
include: "rules/probe.smk"
include: "rules/report.smk"


localrules:
    all,
    dataset,


rule all:
    """Datasets, models, evaluations, the report, and the preference pairs that params.yaml asks for."""
    default_target: True
    input:
        "report/index.html",
        "metrics/summary.json",
        expand("data/preferences/{selection}.jsonl", selection=paired()),


rule dataset:
    """The mixed datasets only: no model is trained."""
    input:
        expand("data/mix/{arm}/train.jsonl", arm=trained_arms()),
