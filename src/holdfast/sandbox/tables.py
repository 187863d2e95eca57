"""The columns of the sandbox's own table."""

from typing import Any

import polars as pl

from holdfast.common.tables import MESSAGES

CONVERSATIONS: dict[str, Any] = {
    "row_id": pl.String,
    "kind": pl.String,
    "messages": MESSAGES,
}  # kind: general | judging
