# Reconstruct: which instructions was the base model aligned on? It speaks as its own user; then the samples are cleaned.


def reconstruct_keys():
    keys = [f"reconstruct.{key}" for key in ("multi_turn", "sampling") if key in config["reconstruct"]]
    return ",".join(["random_seed", "base", *model_keys(config["base"]), *keys])


def kept_out():
    """Suites and benchmarks that no instruction may come from: key in params.yaml by file."""
    suites = config["evaluate"]["suites"]
    return {suites[name]["path"]: f"evaluate.suites.{name}.path" for name in sorted(suites) if suites[name].get("path")}


def clean_keys():
    settings = ["reconstruct.clean"] if "clean" in config["reconstruct"] else []
    return ",".join(["random_seed", *settings, *kept_out().values()])


def benchmark_files():
    return config["reconstruct"].get("clean", {}).get("contamination", {}).get("benchmarks", [])


rule reconstruct:
    """The base model continues the pre-query prefix until it ends the user's turn."""
    input:
        prompts="data/seed/prompts.parquet",
        model=model_files(config["base"]),
        code=code("holdfast.steps.reconstruct"),
        env=env("inference"),
        stamp=".holdfast/stamps/reconstruct",
    output:
        samples="data/reconstruct/samples.parquet",
    log:
        "logs/reconstruct.log",
    benchmark:
        "benchmarks/reconstruct.tsv"
    resources:
        gpu=gpus(config["base"]),
    params:
        declared=reconstruct_keys(),
    shell:
        "exec envs/job reconstruct --env {input.env} --log {log} --"
        " python -m holdfast.steps.reconstruct --params {params.declared} --prompts {input.prompts}"
        " --samples {output.samples}"


rule clean:
    """Samples that are instructions, each once; every other one with its reason; how good the reconstruction is."""
    input:
        prompts="data/seed/prompts.parquet",
        samples="data/reconstruct/samples.parquet",
        suites=sorted(kept_out()),
        harness=harness_items(),
        benchmarks=sorted(benchmark_files()),
        code=code("holdfast.steps.clean"),
        env=env("core"),
        stamp=".holdfast/stamps/clean",
    output:
        instructions="data/reconstruct/instructions.parquet",
        rejected="data/reconstruct/rejected.parquet",
        contamination="data/reconstruct/contamination.parquet",
        metrics="metrics/reconstruct.json",
    log:
        "logs/clean.log",
    benchmark:
        "benchmarks/clean.tsv"
    threads: 64  # as many as there are: languages are told on all cores
    params:
        declared=clean_keys(),
    shell:
        "exec envs/job clean --env {input.env} --log {log} --"
        " python -m holdfast.steps.clean --params {params.declared} --prompts {input.prompts} --samples {input.samples}"
        " --harness {input.harness} --instructions {output.instructions} --rejected {output.rejected}"
        " --contamination {output.contamination} --metrics {output.metrics}"
