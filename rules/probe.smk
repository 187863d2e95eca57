# Probe: how likely the base model and a trained arm find the selected answers, for sources with `draw: damage`.


def probing():
    """The models that probe a selection: the base model (arm `base`) and the arms that sources name."""
    named = [source.get("probe") for source in config.get("sources", {}).values()]
    return ["base", *sorted(filter(None, named))]


rule probe:
    """Have one model tell the log-probability of every selected answer."""
    input:
        selected="data/filter/{selection}.parquet",
        model=lambda w: evaluated_files(w.arm),
        env=env("inference"),
        stamp=".holdfast/stamps/probe-{selection}-{arm}",
    output:
        table="data/probe/{selection}/{arm}.parquet",
    log:
        "logs/probe/{selection}/{arm}.log",
    benchmark:
        "benchmarks/probe/{selection}/{arm}.tsv"
    wildcard_constraints:
        selection="|".join(sorted(config["filter"])),
        arm="|".join(probing()),
    resources:
        **model_resources(lambda w: config["base"]),
        gpu=gpus(config["base"]),
    params:
        code=code("holdfast.steps.probe"),
        declared=",".join(["base", *model_keys(config["base"])]),
        model=lambda w: evaluated_model(w.arm),
    shell:
        "exec envs/job probe-{wildcards.selection}-{wildcards.arm} --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.steps.probe --params {params.declared:q} --arm {wildcards.arm} --model {params.model:q}"
        " --selected {input.selected:q} --table {output.table:q}"
