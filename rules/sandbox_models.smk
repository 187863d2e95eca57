# The sandbox's models: a trunk, and the models trained from it. They run only if params.yaml names one of them.


rule sandbox_trunk:
    """Train the model that all of the sandbox's models are trained from, from scratch."""
    input:
        conversations="data/sandbox/conversations.parquet",
        tokenizer="data/sandbox/tokenizer.json",
        env=env("training"),
        stamp=".holdfast/stamps/sandbox_trunk",
    output:
        model=directory("data/sandbox/trunk"),
    log:
        "logs/sandbox/trunk.log",
    benchmark:
        "benchmarks/sandbox/trunk.tsv"
    params:
        code=code("holdfast.sandbox.trunk"),
        declared=",".join(present("sandbox.seed", "sandbox.trunk")),
    shell:
        "exec envs/job sandbox_trunk --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.sandbox.trunk --params {params.declared:q}"
        " --conversations {input.conversations:q} --tokenizer {input.tokenizer:q} --model {output.model:q}"


rule sandbox_model:
    """Train one of the sandbox's models from the trunk."""
    input:
        trunk="data/sandbox/trunk",
        conversations="data/sandbox/conversations.parquet",
        tokenizer="data/sandbox/tokenizer.json",
        env=env("training"),
        stamp=".holdfast/stamps/sandbox_model-{name}",
    output:
        model=directory("models/sandbox/{name}"),
    log:
        "logs/sandbox/{name}.log",
    benchmark:
        "benchmarks/sandbox/{name}.tsv"
    params:
        code=code("holdfast.sandbox.train"),
        declared=",".join([*present("sandbox.seed"), "sandbox.models.{name}"]),
    shell:
        "exec envs/job sandbox_model-{wildcards.name} --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.sandbox.train --params {params.declared:q} --name {wildcards.name} --trunk {input.trunk:q}"
        " --conversations {input.conversations:q} --tokenizer {input.tokenizer:q} --model {output.model:q}"
