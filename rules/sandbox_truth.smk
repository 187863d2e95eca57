# The sandbox's truth: with real models nobody knows it, so nothing here runs unless the base is one of the sandbox's.


def sandbox_truth():
    """What is measured against the truth of the sandbox."""
    if not config["models"][config["base"]].get("path", "").startswith("models/sandbox/"):
        return []
    return ["metrics/sandbox_reconstruction.json", "metrics/sandbox_committee.json"]


rule sandbox_reconstruction:
    """How close do the reconstructed instructions come to the sandbox's true distribution?"""
    input:
        prompts="data/seed/prompts.parquet",
        samples="data/reconstruct/samples.parquet",
        instructions="data/reconstruct/instructions.parquet",
        code=code("holdfast.sandbox.reconstruction_truth"),
        env=env("core"),
        stamp=".holdfast/stamps/sandbox_reconstruction",
    output:
        metrics="metrics/sandbox_reconstruction.json",
    log:
        "logs/sandbox/reconstruction.log",
    benchmark:
        "benchmarks/sandbox/reconstruction.tsv"
    params:
        declared="sandbox.seed",
    shell:
        "exec envs/job sandbox_reconstruction --env {input.env} --log {log} --"
        " python -m holdfast.sandbox.reconstruction_truth --params {params.declared} --prompts {input.prompts}"
        " --samples {input.samples} --instructions {input.instructions} --metrics {output.metrics}"


rule sandbox_committee:
    """How often is the kept answer right, for every rung, aggregation and judge?"""
    input:
        instructions="data/reconstruct/instructions.parquet",
        generations=expand("data/generate/{model}.parquet", model=sorted(config["generate"]["models"])),
        scores=expand("data/score/{judge}.parquet", judge=sorted(config["score"]["judges"])),
        code=code("holdfast.sandbox.committee_truth"),
        env=env("core"),
        stamp=".holdfast/stamps/sandbox_committee",
    output:
        metrics="metrics/sandbox_committee.json",
    log:
        "logs/sandbox/committee.log",
    benchmark:
        "benchmarks/sandbox/committee.tsv"
    params:
        declared="base,random_seed",
    shell:
        "exec envs/job sandbox_committee --env {input.env} --log {log} --"
        " python -m holdfast.sandbox.committee_truth --params {params.declared} --instructions {input.instructions}"
        " --generations {input.generations} --scores {input.scores} --metrics {output.metrics}"
