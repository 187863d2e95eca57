# Seed: the prompts from which the base model samples instructions.


def seed_keys():
    """The keys that decide the prompts; of the base model only its tokenizer's."""
    return ",".join(["random_seed", "base", "seed", f"models.{config['base']}.path", *loading_keys()])


def seed_files():
    """The input files that `seed` names."""
    sections = [config["seed"], *config["seed"].get("slices", {}).values()]
    return sorted({s[key] for s in sections for key in ("system_prompts", "tools", "examples") if s.get(key)})


rule seed:
    """Derive the pre-query prefix from the base model's chat template, for every slice and system prompt."""
    input:
        files=seed_files(),
        model=model_files(config["base"]),
        env=env("core"),
        stamp=".holdfast/stamps/seed",
    output:
        prompts="data/seed/prompts.parquet",
    log:
        "logs/seed.log",
    benchmark:
        "benchmarks/seed.tsv"
    params:
        code=code("holdfast.steps.seed"),
        declared=seed_keys(),
    shell:
        "exec envs/job seed --env {input.env:q} --code {params.code} --log {log:q} --"
        " python -m holdfast.steps.seed --params {params.declared:q} --prompts {output.prompts:q}"
