# Suite items: writes the texts of the suites of the evaluation harness, which `clean` and `mix` compare with.
rule suite_items:
    """Write the texts of the items of one suite of the evaluation harness."""
    input:
        tasks=lambda w: config["evaluate"]["suites"][w.suite].get("include_path") or [],
        env=env("inference"),
        stamp=".holdfast/stamps/suite_items-{suite}",
    output:
        texts="data/evaluate/items/{suite}.jsonl",
    log:
        "logs/evaluate/items/{suite}.log",
    benchmark:
        "benchmarks/evaluate/items/{suite}.tsv"
    priority: 100  # before any model runs, so that a missing task is found early
    params:
        code=code("holdfast.steps.evaluate.suite_items"),
        declared="evaluate.suites.{suite}",
    shell:
        "exec envs/job suite_items-{wildcards.suite} --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.steps.evaluate.suite_items --params {params.declared:q} --suite {wildcards.suite}"
        " --texts {output.texts:q}"
