"""Chat templates: rendering, the pre-query prefix, what a judge is shown."""
