"""The steps of the pipeline, one package each; no step imports another."""
