# Seed: what does the base model see before it writes as its user?


def seed_keys():
    """What makes the prompts; of the base model only where its tokenizer is."""
    return ",".join(["random_seed", "base", "seed", f"models.{config['base']}.path", *loading_keys()])


def seed_files():
    """The user's files that `seed` names."""
    sections = [config["seed"], *config["seed"].get("slices", {}).values()]
    return sorted({s[key] for s in sections for key in ("system_prompts", "tools", "examples") if s.get(key)})


rule seed:
    """The pre-query prefix for every system prompt and slice, from the base model's chat template."""
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
        "exec envs/job seed --env {input.env} --code {params.code} --log {log} --"
        " python -m holdfast.steps.seed --params {params.declared:q} --prompts {output.prompts:q}"
