"""The steps of the pipeline, one package each; none imports another."""
