MODELS = sorted(config["generate"]["models"])


rule reconstruct:
    """Instructions from the seed prompts."""
    input:
        prompts="data/seed/prompts.txt",
        env=env("core"),
        stamp=".holdfast/stamps/reconstruct",
    output:
        instructions="data/reconstruct/instructions.txt",
        rejected="data/reconstruct/rejected.txt",
    log:
        "logs/reconstruct.log",
    benchmark:
        "benchmarks/reconstruct.tsv"
    params:
        code=code("holdfast.toy.reconstruct"),
        declared="random_seed,reconstruct",
    shell:
        "exec envs/job reconstruct --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.toy.reconstruct --params {params.declared:q} --prompts {input.prompts:q}"
        " --instructions {output.instructions:q} --rejected {output.rejected:q}"


rule generate:
    """One model answers every instruction."""
    input:
        instructions="data/reconstruct/instructions.txt",
        env=env("inference"),
        stamp=".holdfast/stamps/generate-{model}",
    output:
        generations="data/generate/{model}.txt",
    log:
        "logs/generate/{model}.log",
    benchmark:
        "benchmarks/generate/{model}.tsv"
    params:
        code=code("holdfast.toy.generate"),
        declared=lambda w: f"random_seed,generate.shards,generate.models.{w.model}",
    shell:
        "exec envs/job generate-{wildcards.model} --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.toy.generate --params {params.declared:q} --model {wildcards.model}"
        " --instructions {input.instructions:q} --generations {output.generations:q}"


rule filter:
    """The answers worth keeping."""
    input:
        generations=expand("data/generate/{model}.txt", model=MODELS),
        env=env("core"),
        stamp=".holdfast/stamps/filter",
    output:
        selected="data/filter/selected.txt",
    log:
        "logs/filter.log",
    benchmark:
        "benchmarks/filter.tsv"
    params:
        code=code("holdfast.toy.filter"),
        declared="filter",
    shell:
        "exec envs/job filter --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.toy.filter --params {params.declared:q} --generations {input.generations:q}"
        " --selected {output.selected:q}"


rule train:
    """A folder made from a share of what was kept."""
    input:
        selected="data/filter/selected.txt",
        env=env("core"),
        stamp=".holdfast/stamps/train-{arm}",
    output:
        model=directory("models/{arm}"),
    log:
        "logs/train/{arm}.log",
    benchmark:
        "benchmarks/train/{arm}.tsv"
    params:
        code=code("holdfast.toy.train"),
        declared=lambda w: f"arms.{w.arm}",
    shell:
        "exec envs/job train-{wildcards.arm} --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.toy.train --params {params.declared:q} --arm {wildcards.arm} --selected {input.selected:q}"
        " --model {output.model:q}"


rule report:
    """One figure per arm."""
    input:
        models=expand("models/{arm}", arm=sorted(config["arms"])),
        env=env("core"),
        stamp=".holdfast/stamps/report",
    output:
        summary="metrics/summary.json",
    log:
        "logs/report.log",
    benchmark:
        "benchmarks/report.tsv"
    params:
        code=code("holdfast.toy.report"),
    shell:
        "exec envs/job report --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.toy.report --models {input.models:q} --summary {output.summary:q}"
