"""What three or more packages use: errors, atomic files, table columns, ids, reading params.yaml, processes."""
