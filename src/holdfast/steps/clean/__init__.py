"""clean: samples that are instructions, each once."""
