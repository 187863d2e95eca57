# Report: compares every arm with the base model and shows all steps on one HTML page.

from holdfast.steps.mix.params import REHEARSAL


def report_keys():
    length = ["train.budget", "train.config", "mix.size_from"]
    length += [f"arms.{arm}.{key}" for arm in sorted(config["arms"]) for key in ("train", "merge", "preferences")]
    drawn = sorted({source for arm in config["arms"].values() for source in arm.get("sources", {})})
    selections = {config.get("sources", {}).get(source, REHEARSAL).get("selection") for source in drawn}
    selections |= {config["arms"][arm]["preferences"]["selection"] for arm in aligned_arms()}
    cost = [f"sources.{source}.selection" for source in drawn]
    cost += [
        f"filter.{name}.{key}" for name in sorted(filter(None, selections)) for key in ("models", "samples", "judges")
    ]
    curves = [f"curves.{sweep}" for sweep in sorted(config.get("sweeps", {}))]  # in data/workflow/sweeps.yaml
    return ",".join(["base", "report", "evaluate.suites", *present(*length, *cost), *curves])


rule report:
    """Write the comparisons (metrics/summary.json) and the page."""
    input:
        prompts="data/seed/prompts.parquet",
        samples="data/reconstruct/samples.parquet",
        instructions="data/clean/instructions.parquet",
        generations=expand("data/generate/{model}.parquet", model=sorted(config["generate"]["models"])),
        scores=expand("data/score/{judge}.parquet", judge=sorted(config["score"]["judges"])),
        all_scores="data/filter/all_scores.parquet",
        selected="data/filter/selected.parquet",
        mixtures=expand("data/mix/{arm}/summary.json", arm=trained_arms()),
        rejected=[
            "data/clean/rejected.parquet",
            *expand("data/generate/{model}.rejected.parquet", model=sorted(config["generate"]["models"])),
            "data/filter/selected.rejected.parquet",
            *expand("data/mix/{arm}/rejected.parquet", arm=trained_arms()),
        ],
        evaluations=expand("data/evaluate/{run}.parquet", run=evaluated()),
        metrics=["metrics/clean.json", "metrics/filter.json", *sandbox_truth()],
        curves=expand("plots/train/{run}.csv", run=[*training_runs(), *aligned_runs()]),
        aligned=expand("data/train/dpo/{run}.json", run=aligned_runs()),
        template=sorted(map(str, Path("src/holdfast/steps/report/template").iterdir())),
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
        code=code("holdfast.steps.report"),
        declared=report_keys(),
    shell:
        "exec envs/job report --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.steps.report --params {params.declared:q} --prompts {input.prompts:q}"
        " --samples {input.samples:q} --instructions {input.instructions:q}"
        " --all-scores {input.all_scores:q} --selected {input.selected:q}"
        " --generations {input.generations:q} --scores {input.scores:q} --mixtures {input.mixtures:q}"
        " --rejected {input.rejected:q} --evaluations {input.evaluations:q} --metrics {input.metrics:q} --curves {input.curves:q}"
        " --aligned {input.aligned:q}"
        " --summary {output.summary:q} --page {output.page:q}"
