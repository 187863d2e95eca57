# Comparisons with the sandbox's ground truth. These rules run only if the base model is one of the sandbox's.


def sandbox_truth():
    """The metrics files of these comparisons."""
    if not config["models"][config["base"]].get("path", "").startswith("models/sandbox/"):
        return []
    return ["metrics/sandbox_reconstruction.json", "metrics/sandbox_committee.json"]


rule sandbox_reconstruction:
    """Compare the reconstructed instructions with the sandbox's true distribution."""
    input:
        prompts="data/seed/prompts.parquet",
        samples="data/reconstruct/samples.parquet",
        instructions="data/clean/instructions.parquet",
        env=env("core"),
        stamp=".holdfast/stamps/sandbox_reconstruction",
    output:
        metrics="metrics/sandbox_reconstruction.json",
    log:
        "logs/sandbox/reconstruction.log",
    benchmark:
        "benchmarks/sandbox/reconstruction.tsv"
    params:
        code=code("holdfast.sandbox.reconstruction_truth"),
        declared=",".join(present("sandbox.seed")),
    shell:
        "exec envs/job sandbox_reconstruction --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.sandbox.reconstruction_truth --params {params.declared:q} --prompts {input.prompts:q}"
        " --samples {input.samples:q} --instructions {input.instructions:q} --metrics {output.metrics:q}"


rule sandbox_committee:
    """Count how often the kept answer is right, for each way to select it."""
    input:
        instructions="data/clean/instructions.parquet",
        generations=expand("data/generate/{model}.parquet", model=sorted(config["generate"]["models"])),
        scores=expand("data/score/{judge}.parquet", judge=sorted(config["score"]["judges"])),
        env=env("core"),
        stamp=".holdfast/stamps/sandbox_committee",
    output:
        metrics="metrics/sandbox_committee.json",
    log:
        "logs/sandbox/committee.log",
    benchmark:
        "benchmarks/sandbox/committee.tsv"
    params:
        code=code("holdfast.sandbox.committee_truth"),
        declared="base,random_seed",
    shell:
        "exec envs/job sandbox_committee --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.sandbox.committee_truth --params {params.declared:q} --instructions {input.instructions:q}"
        " --generations {input.generations:q} --scores {input.scores:q} --metrics {output.metrics:q}"
