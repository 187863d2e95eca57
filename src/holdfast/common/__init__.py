"""What three rooms or more need: errors, atomic files, table columns, ids, reading params.yaml, processes."""
