"""The columns of the sandbox's own table."""

import polars as pl

from holdfast.tables import MESSAGES

CONVERSATIONS = {"row_id": pl.String, "kind": pl.String, "messages": MESSAGES}  # kind: general | judging
