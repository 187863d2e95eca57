"""seed: the prompts from which the base model is sampled."""
