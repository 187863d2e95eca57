"""The date that chat templates print."""

FIXED_DATE = "2024-07-26"  # for templates that print today's date: the same inputs must not render otherwise tomorrow
