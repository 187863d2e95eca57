"""report: every arm against the base, with intervals, as a page and as metrics/summary.json."""
