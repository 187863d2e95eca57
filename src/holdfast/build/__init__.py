"""The two engines: dvc.yaml from Snakemake's graph, running one job, staleness, and what a build will cost."""
