# Mix: the training and validation data of each arm.
from holdfast.steps.mix.params import MIXTURE, REHEARSAL, Source, probe_files


def mix_sources(arm):
    """The arm's sources by name; `rehearsal` is built in."""
    defined = {"rehearsal": REHEARSAL, **config.get("sources", {})}
    return {name: Source.model_validate(defined[name]) for name in sorted(config["arms"][arm]["sources"])}


def mix_keys(wildcards):
    """The arm, its sources, and the licences of the models that wrote rehearsal rows."""
    sources = mix_sources(wildcards.arm)
    rehearsal = any(source.selection for source in sources.values())
    writers = sorted(config["generate"]["models"]) if rehearsal else []
    optional = [f"sources.{name}" for name in sources]
    optional += [f"models.{name}.licence" for name in writers]
    optional += [f"clean.contamination.{key}" for key in ("ngram", "benchmarks", "fields")]
    optional += [f"arms.{wildcards.arm}.{key}" for key in (*MIXTURE, "train.sequence_len")]
    own = ["random_seed", "mix", "train.sequence_len"]
    return ",".join([*own, *present(*optional), *loading_keys()])


rule mix:
    """Check the arm's sources, compare them with the suites, draw rows in its shares, split and shuffle them."""
    input:
        sources=lambda w: [source.data for source in mix_sources(w.arm).values()],
        probes=lambda w: [file for source in mix_sources(w.arm).values() for file in probe_files(source)],
        suites=sorted({s["path"] for s in config["evaluate"]["suites"].values() if s.get("path")}),
        harness=harness_items(),
        benchmarks=sorted(benchmark_files()),
        base=model_files(config["base"]),
        env=env("core"),
        stamp=".holdfast/stamps/mix-{arm}",
    output:
        train="data/mix/{arm}/train.jsonl",
        val="data/mix/{arm}/val.jsonl",
        train_table="data/mix/{arm}/train.parquet",
        val_table="data/mix/{arm}/val.parquet",
        card="data/mix/{arm}/README.md",
        rejected="data/mix/{arm}/rejected.parquet",
        contamination="data/mix/{arm}/contamination.parquet",
        summary="data/mix/{arm}/summary.json",
    log:
        "logs/mix/{arm}.log",
    benchmark:
        "benchmarks/mix/{arm}.tsv"
    priority: 50  # before any model is trained, so that a source with too few rows is found early
    params:
        code=code("holdfast.steps.mix"),
        declared=mix_keys,
        base=config["models"][config["base"]]["path"],
    shell:
        "exec envs/job mix-{wildcards.arm} --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.steps.mix --params {params.declared:q} --arm {wildcards.arm} --base {params.base:q}"
        " --out data/mix/{wildcards.arm} --suites {input.suites:q} --harness {input.harness:q}"
