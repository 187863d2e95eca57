"""The dataset card of a file of pairs: Markdown with a YAML head, as the Hugging Face hub reads it."""

from typing import Any

import polars as pl
import yaml

from holdfast.common.cards import licence_keys, size_category, table


def card(
    pairs: pl.DataFrame,
    lost: pl.DataFrame,
    licences: dict[str, str | None],
    settings: dict[str, Any],
    checksums: dict[str, str],
    inputs: dict[str, str],
) -> str:
    """`pairs` and `lost` are those of `pairing.choose`, `licences` maps models to theirs, `settings` are the parameters
    and `selection`; `checksums` and `inputs` map file names to sha256."""
    name = settings["selection"]
    written = {model for side in ("model_chosen", "model_rejected") for model in pairs[side]}
    head: dict[str, Any] = {
        **licence_keys(sorted({licences.get(model) or "not stated" for model in written})),
        "pretty_name": f"Holdfast preference pairs {name}",
        "task_categories": ["text-generation"],
        "size_categories": [size_category(pairs.height)],
        "tags": ["holdfast", "preference", "dpo", "conversational"],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": f"{name}.parquet"}]}],
    }
    parts = [
        f"# Preference pairs `{name}`",
        f"{pairs.height:,} pairs of answers. `chosen` is the answer that the selection `{name}` keeps, `rejected` the"
        " one with the lowest score of the others; both scores are the judges', from 1 to 5, aggregated as in the"
        f" selection. They are at least {settings['min_margin']:g} points apart.",
        "## Margins\n\n" + _margins(pairs["margin"]),
        "## Who wrote the answers\n\n" + _models(pairs, licences),
        "## What was left out\n\n" + _left_out(lost),
        "## Where the rows come from\n\n" + _hashes(inputs),
        "## How to load it\n\n" + _LOADING.replace("NAME", name),
        "## Columns\n\n" + _COLUMNS,
        "## Settings\n\n```yaml\n" + yaml.safe_dump(settings, sort_keys=True, allow_unicode=True) + "```",
        "## Checksums (sha256)\n\n" + _hashes(checksums),
    ]
    return f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n\n" + "\n\n".join(parts) + "\n"


def _margins(margins: pl.Series) -> str:
    shown = {"least": 0.0, "lower quartile": 0.25, "median": 0.5, "upper quartile": 0.75, "most": 1.0}
    return table([*shown], [[f"{margins.quantile(share, 'linear'):.2f}" for share in shown.values()]])


def _models(pairs: pl.DataFrame, licences: dict[str, str | None]) -> str:
    models = sorted({*pairs["model_chosen"], *pairs["model_rejected"]})
    rows = [
        [
            model,
            *(int((pairs[f"model_{side}"] == model).sum()) for side in ("chosen", "rejected")),
            licences.get(model) or "not stated",
        ]
        for model in models
    ]
    return table(["model", "chosen", "rejected", "licence"], rows)


def _left_out(lost: pl.DataFrame) -> str:
    if lost.is_empty():
        return "Nothing: every instruction has a pair."
    rows = [list(row) for row in lost["reason"].value_counts().sort("reason").iter_rows()]
    return "Each instruction is in the file of rejected ones with its reason.\n\n" + table(["reason", "rows"], rows)


def _hashes(files: dict[str, str]) -> str:
    return "\n".join(f"- `{file}`: `{digest}`" for file, digest in sorted(files.items()))


_LOADING = """```python
from datasets import load_dataset
from trl import DPOTrainer

pairs = load_dataset("json", data_files="NAME.jsonl", split="train")
DPOTrainer(model="path/to/model", train_dataset=pairs).train()
```

In an Axolotl configuration:

```yaml
rl: dpo
datasets:
  - path: NAME.jsonl
    ds_type: json
    split: train
    type: chat_template.default
    field_messages: prompt
```"""

_COLUMNS = """- `prompt`: list of `{role, content}`, the conversation up to and with the turn to answer
- `chosen`, `rejected`: list of one message, the assistant's
- `tools`: JSON text of the tools on offer, where there are any
- `score_chosen`, `score_rejected`, `margin`: aggregated scores of the judges, and their difference
- `model_chosen`, `model_rejected`: who wrote the answers; `licence_chosen`, `licence_rejected`: of these models
- `instruction_id`, `candidate_id_chosen`, `candidate_id_rejected`: ids in the tables of the build
- `slice`, `language`: of the instruction"""
