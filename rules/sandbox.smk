# The sandbox: a small closed world and its models. These rules run only if params.yaml names one of their files.


rule sandbox_world:
    """Write the sandbox's alignment data, domain data, public set and test suites."""
    input:
        rubric="data/seed/sandbox/rubric.md",
        system_prompts="data/seed/sandbox/system_prompts.jsonl",
        env=env("core"),
        stamp=".holdfast/stamps/sandbox_world",
    output:
        conversations="data/sandbox/conversations.parquet",
        general="data/sandbox/general.jsonl",
        domain="data/sandbox/domain.jsonl",
        domain_train="data/sandbox/domain_train.jsonl",
        public="data/sandbox/public.jsonl",
        truth="data/sandbox/truth.json",
    log:
        "logs/sandbox/world.log",
    benchmark:
        "benchmarks/sandbox/world.tsv"
    params:
        code=code("holdfast.sandbox.build_world"),
        declared=",".join(present("sandbox.seed", "sandbox.world")),
    shell:
        "exec envs/job sandbox_world --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.sandbox.build_world --params {params.declared:q}"
        " --rubric {input.rubric:q} --system-prompts {input.system_prompts:q} --conversations {output.conversations:q}"
        " --general {output.general:q} --domain {output.domain:q} --domain-train {output.domain_train:q}"
        " --public {output.public:q} --truth {output.truth:q}"


rule sandbox_tokenizer:
    """Train the tokenizer that the sandbox's models share."""
    input:
        conversations="data/sandbox/conversations.parquet",
        texts=["data/sandbox/domain_train.jsonl", "data/sandbox/public.jsonl"],
        env=env("core"),
        stamp=".holdfast/stamps/sandbox_tokenizer",
    output:
        tokenizer="data/sandbox/tokenizer.json",
    log:
        "logs/sandbox/tokenizer.log",
    benchmark:
        "benchmarks/sandbox/tokenizer.tsv"
    params:
        code=code("holdfast.sandbox.tokenizer"),
        declared=",".join(present("sandbox.vocabulary")),
    shell:
        "exec envs/job sandbox_tokenizer --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.sandbox.tokenizer --params {params.declared:q}"
        " --conversations {input.conversations:q} --texts {input.texts:q} --tokenizer {output.tokenizer:q}"
