"""Offline mode of the Hugging Face hub, which the CPU environments set."""

import os

_TRUE = ("1", "ON", "YES", "TRUE")  # as huggingface_hub reads it


def offline_hint() -> str:
    """The repair at the end of a message about a missing model; empty if the hub may be used."""
    if os.environ.get("HF_HUB_OFFLINE", os.environ.get("TRANSFORMERS_OFFLINE", "")).upper() not in _TRUE:
        return ""
    return (
        "; the hub was not used, because HF_HUB_OFFLINE=1 is set, as in the CPU environments: to download models run"
        " `HF_HUB_OFFLINE=0 TRANSFORMERS_OFFLINE=0 snakemake …`"
    )
