"""evaluate: accuracy of the base model and every arm on the suites."""
