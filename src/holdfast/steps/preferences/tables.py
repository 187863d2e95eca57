"""The columns of what the step writes."""

from typing import Any

import polars as pl

from holdfast.common.tables import MESSAGES

PREFERENCES: dict[str, Any] = {  # prompt, chosen and rejected as TRL's DPOTrainer and Axolotl's `rl: dpo` read them
    "prompt": MESSAGES,  # the conversation up to and with the turn to answer
    "chosen": MESSAGES,  # one message, the assistant's
    "rejected": MESSAGES,
    "tools": pl.String,  # JSON text of the tools on offer; null: none
    "score_chosen": pl.Float64,
    "score_rejected": pl.Float64,
    "margin": pl.Float64,
    "model_chosen": pl.String,
    "model_rejected": pl.String,
    "licence_chosen": pl.String,
    "licence_rejected": pl.String,
    "instruction_id": pl.String,
    "candidate_id_chosen": pl.String,
    "candidate_id_rejected": pl.String,
    "slice": pl.String,
    "language": pl.String,
}

PREFERENCES_REJECTED = {  # one row per instruction without a pair
    "instruction_id": pl.String,
    "candidate_id": pl.String,  # the kept answer; null: none was kept
    "model": pl.String,
    "score": pl.Float64,
    "reason": pl.String,  # small_margin, one_answer, not_selected
    "detail": pl.String,
}
