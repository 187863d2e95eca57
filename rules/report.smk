# Report: so what? Every arm against the base, how sure that is, and everything that led there, in one page.


rule report:
    """The proof (metrics/summary.json) and the page that shows it."""
    input:
        prompts="data/seed/prompts.parquet",
        samples="data/reconstruct/samples.parquet",
        instructions="data/reconstruct/instructions.parquet",
        generations=expand("data/generate/{model}.parquet", model=sorted(config["generate"]["models"])),
        scores=expand("data/score/{judge}.parquet", judge=sorted(config["score"]["judges"])),
        cube="data/filter/cube.parquet",
        selected="data/filter/selected.parquet",
        mixtures=expand("data/mix/{arm}/summary.json", arm=sorted(config["arms"])),
        rejected=[
            "data/reconstruct/rejected.parquet",
            *expand("data/generate/{model}.rejected.parquet", model=sorted(config["generate"]["models"])),
            "data/filter/selected.rejected.parquet",
            *expand("data/mix/{arm}/rejected.parquet", arm=sorted(config["arms"])),
        ],
        evaluations=expand("data/evaluate/{run}.parquet", run=evaluated()),
        metrics=["metrics/reconstruct.json", "metrics/filter.json", *sandbox_truth()],
        curves=expand("plots/train/{run}.csv", run=[run for run in evaluated() if run != "base"]),
        template=expand(
            "src/holdfast/report/template/{file}", file=["page.html.j2", "rooms.html.j2", "style.css", "page.js"]
        ),
        code=code("holdfast.steps.report"),
        env=env("core"),
        stamp=".holdfast/stamps/report",
    output:
        page="report/index.html",
        summary="metrics/summary.json",
    log:
        "logs/report.log",
    benchmark:
        "benchmarks/report.tsv"
    params:
        declared=",".join(
            ["base", "report", "evaluate.suites"]
            + [f"train.{key}" for key in ("budget", "config") if config["train"].get(key)]
        ),
    shell:
        "exec envs/job report --env {input.env} --log {log} --"
        " python -m holdfast.steps.report --params {params.declared} --prompts {input.prompts}"
        " --samples {input.samples} --instructions {input.instructions} --cube {input.cube} --selected {input.selected}"
        " --generations {input.generations} --scores {input.scores} --mixtures {input.mixtures}"
        " --rejected {input.rejected} --evaluations {input.evaluations} --metrics {input.metrics} --curves {input.curves}"
        " --summary {output.summary} --page {output.page}"
