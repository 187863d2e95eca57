"""mix: an arm's sources as training and validation data."""
