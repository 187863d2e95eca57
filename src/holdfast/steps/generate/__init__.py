"""generate: a committee model's answers to every instruction."""
