"""reconstruct: user turns sampled from the base model."""
