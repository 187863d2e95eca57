# Clean: rejects faulty, duplicate and contaminated samples.


def suite_keys():
    """Files of the user's own suites, which instructions are compared with: key in params.yaml by file."""
    suites = config["evaluate"]["suites"]
    return {suites[name]["path"]: f"evaluate.suites.{name}.path" for name in sorted(suites) if suites[name].get("path")}


def clean_keys():
    return ",".join(["random_seed", *present("clean"), *suite_keys().values()])


rule clean:
    """Keep each instruction once, write the other samples with a reason each, and measure the reconstruction."""
    input:
        prompts="data/seed/prompts.parquet",
        samples="data/reconstruct/samples.parquet",
        suites=sorted(suite_keys()),
        harness=harness_items(),
        benchmarks=sorted(benchmark_files()),
        env=env("core"),
        stamp=".holdfast/stamps/clean",
    output:
        instructions="data/clean/instructions.parquet",
        rejected="data/clean/rejected.parquet",
        contamination="data/clean/contamination.parquet",
        metrics="metrics/clean.json",
    log:
        "logs/clean.log",
    benchmark:
        "benchmarks/clean.tsv"
    threads: 64  # limited by --cores; languages are detected on all of them
    params:
        code=code("holdfast.steps.clean"),
        declared=clean_keys(),
    shell:
        "exec envs/job clean --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.steps.clean --params {params.declared:q} --prompts {input.prompts:q} --samples {input.samples:q}"
        " --harness {input.harness:q} --instructions {output.instructions:q} --rejected {output.rejected:q}"
        " --contamination {output.contamination:q} --metrics {output.metrics:q}"
