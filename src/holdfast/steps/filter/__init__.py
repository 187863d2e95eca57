"""filter: which answers are kept, and statistics of the judges."""
