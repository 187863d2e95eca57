"""The Hugging Face hub, which the CPU environments are set not to ask."""

import os

_TRUE = ("1", "ON", "YES", "TRUE")  # as huggingface_hub reads it


def offline_hint() -> str:
    """The repair, to end a message about a model that is not here; empty where the hub may be asked."""
    if os.environ.get("HF_HUB_OFFLINE", os.environ.get("TRANSFORMERS_OFFLINE", "")).upper() not in _TRUE:
        return ""
    return (
        "; the hub was not asked, as the CPU environments are set (HF_HUB_OFFLINE=1): to fetch models run"
        " `HF_HUB_OFFLINE=0 TRANSFORMERS_OFFLINE=0 snakemake …`"
    )
