# Suite items: what do the harness's suites ask? Nothing here runs unless params.yaml has a suite of kind lm_eval.


def harness_items():
    """The texts that training data is kept free of, a file for each suite of the harness."""
    suites = config["evaluate"]["suites"]
    return [f"data/evaluate/items/{name}.jsonl" for name in sorted(suites) if suites[name]["kind"] == "lm_eval"]


rule suite_items:
    """The texts of the items of one harness suite."""
    input:
        tasks=lambda w: config["evaluate"]["suites"][w.suite].get("include_path") or [],
        code=code("holdfast.steps.suite_items"),
        env=env("inference"),
        stamp=".holdfast/stamps/suite_items-{suite}",
    output:
        texts="data/evaluate/items/{suite}.jsonl",
    log:
        "logs/suite_items/{suite}.log",
    benchmark:
        "benchmarks/suite_items/{suite}.tsv"
    priority: 100  # before any model: a task that is not there should not cost a night
    params:
        declared="evaluate.suites.{suite}",
    shell:
        "exec envs/job suite_items-{wildcards.suite} --env {input.env} --log {log} --"
        " python -m holdfast.steps.suite_items --params {params.declared} --suite {wildcards.suite}"
        " --texts {output.texts}"
