MODELS = sorted(config["generate"]["models"])


rule reconstruct:
    """Instructions from the seed prompts."""
    input:
        prompts="data/seed/prompts.txt",
        code=code("holdfast.toy.reconstruct"),
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
        declared="random_seed,reconstruct",
    shell:
        "exec envs/job reconstruct --env {input.env} --log {log} --"
        " python -m holdfast.toy.reconstruct --params {params.declared} --prompts {input.prompts}"
        " --instructions {output.instructions} --rejected {output.rejected}"


rule generate:
    """One model answers every instruction."""
    input:
        instructions="data/reconstruct/instructions.txt",
        code=code("holdfast.toy.generate"),
        env=env("inference"),
        stamp=".holdfast/stamps/generate-{model}",
    output:
        generations="data/generate/{model}.txt",
    log:
        "logs/generate/{model}.log",
    benchmark:
        "benchmarks/generate/{model}.tsv"
    params:
        declared=lambda w: f"random_seed,generate.shards,generate.models.{w.model}",
    shell:
        "exec envs/job generate-{wildcards.model} --env {input.env} --log {log} --"
        " python -m holdfast.toy.generate --params {params.declared} --model {wildcards.model}"
        " --instructions {input.instructions} --generations {output.generations}"


rule filter:
    """The answers worth keeping."""
    input:
        generations=expand("data/generate/{model}.txt", model=MODELS),
        code=code("holdfast.toy.filter"),
        env=env("core"),
        stamp=".holdfast/stamps/filter",
    output:
        selected="data/filter/selected.txt",
    log:
        "logs/filter.log",
    benchmark:
        "benchmarks/filter.tsv"
    params:
        declared="filter",
    shell:
        "exec envs/job filter --env {input.env} --log {log} --"
        " python -m holdfast.toy.filter --params {params.declared} --generations {input.generations}"
        " --selected {output.selected}"


rule train:
    """A folder made from a share of what was kept."""
    input:
        selected="data/filter/selected.txt",
        code=code("holdfast.toy.train"),
        env=env("core"),
        stamp=".holdfast/stamps/train-{arm}",
    output:
        model=directory("models/{arm}"),
    log:
        "logs/train/{arm}.log",
    benchmark:
        "benchmarks/train/{arm}.tsv"
    params:
        declared=lambda w: f"arms.{w.arm}",
    shell:
        "exec envs/job train-{wildcards.arm} --env {input.env} --log {log} --"
        " python -m holdfast.toy.train --params {params.declared} --arm {wildcards.arm} --selected {input.selected}"
        " --model {output.model}"


rule report:
    """One figure per arm."""
    input:
        models=expand("models/{arm}", arm=sorted(config["arms"])),
        code=code("holdfast.toy.report"),
        env=env("core"),
        stamp=".holdfast/stamps/report",
    output:
        summary="metrics/summary.json",
    log:
        "logs/report.log",
    benchmark:
        "benchmarks/report.tsv"
    shell:
        "exec envs/job report --env {input.env} --log {log} --"
        " python -m holdfast.toy.report --models {input.models} --summary {output.summary}"
