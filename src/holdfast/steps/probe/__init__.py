"""probe: how likely a model finds the selected answers."""
