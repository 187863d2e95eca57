"""The README.md of a mixture: a Hugging Face dataset card with sources, rejected rows, settings and checksums."""

from typing import Any

import yaml

from holdfast.common.cards import licence_keys, size_category, table


def card(summary: dict[str, Any], settings: dict[str, Any], checksums: dict[str, str], inputs: dict[str, str]) -> str:
    """Markdown with a YAML head. `summary` is what the mix step writes as summary.json; `settings` are its parameters.

    `checksums` and `inputs` map file names to sha256.
    """
    name, rows = summary["arm"], summary["train_rows"]
    licences = sorted({licence for s in summary["sources"] for licence in s["licences"]})
    head: dict[str, Any] = {
        **licence_keys(licences),
        "pretty_name": f"Holdfast mixture {name}",
        "task_categories": ["text-generation"],
        "size_categories": [size_category(rows)],
        "tags": ["holdfast", "rehearsal", "conversational"],
        "configs": [{"config_name": "default", "data_files": _data_files(summary)}],
    }
    top = yaml.safe_dump(head, sort_keys=False, allow_unicode=True)
    return (
        f"---\n{top}---\n\n"
        + "\n\n".join(
            [
                f"# Mixture `{name}`",
                f"{rows:,} conversations to train on and {summary['val_rows']:,} to validate with;"
                f" the first are {summary['train_tokens']:,} tokens in the chat template of `{summary['base']}`."
                " Every conversation ends with the answer to learn.",
                "## What is in it\n\n" + _sources(summary),
                "## What was left out\n\n" + _rejected(summary),
                "## Evaluation items in the data\n\n" + _contamination(summary),
                "## Where the rows come from\n\n" + _lineage(summary, inputs),
                "## How to load it\n\n" + _LOADING,
                "## Columns\n\n" + _COLUMNS,
                "## Settings\n\n```yaml\n" + yaml.safe_dump(settings, sort_keys=True, allow_unicode=True) + "```",
                "## Checksums (sha256)\n\n"
                + "\n".join(f"- `{file}`: `{digest}`" for file, digest in sorted(checksums.items())),
            ]
        )
        + "\n"
    )


def _data_files(summary: dict[str, Any]) -> list[dict[str, str]]:
    splits = [("train", "train.parquet"), ("validation", "val.parquet")]
    return [{"split": split, "path": path} for split, path in splits[: 2 if summary["val_rows"] else 1]]


def _sources(summary: dict[str, Any]) -> str:
    header = [
        "source",
        "asked share",
        "share of rows",
        "share of tokens",
        "train rows",
        "validation rows",
        "repeated",
        "licence",
    ]
    rows = [
        [
            f"{s['source']}{'/' + s['slice'] if s['slice'] else ''}",
            *(f"{s[k]:.2%}" for k in ("share", "share_of_rows", "share_of_tokens")),
            *(s["train_rows"], s["val_rows"], s["repeated_rows"]),
            ", ".join(s["licences"]) or "not stated",
        ]
        for s in summary["sources"]
    ]
    return f"Shares are asked for by {summary['unit']}, before the validation rows are set aside.\n\n" + table(
        header, rows
    )


def _rejected(summary: dict[str, Any]) -> str:
    rows = [
        [source, reason, n]
        for source, reasons in sorted(summary["rejected"].items())
        for reason, n in sorted(reasons.items())
    ]
    if not rows:
        return "Nothing."
    return "Each row is in `rejected.parquet` with its place and reason.\n\n" + table(
        ["source", "reason", "rows"], rows
    )


def _contamination(summary: dict[str, Any]) -> str:
    rows = [[found[key] for key in ("source", "suite", "action", "rows")] for found in summary["contamination"]]
    if not rows:
        return "No turn of a user holds an item of an evaluation suite or benchmark that was compared."
    kept = sum(found["rows"] for found in summary["contamination"] if found["action"] == "reported")
    text = "Rows in which a turn of the user holds an item of a suite or benchmark; `contamination.parquet` lists them."
    if kept:
        text = f"**Rows marked `reported` are in the mixture: results on these suites will be too high.** {text}"
    return f"{text}\n\n" + table(["source", "suite", "action", "rows"], rows)


def _lineage(summary: dict[str, Any], inputs: dict[str, str]) -> str:
    models = [[s["source"], model, n] for s in summary["sources"] for model, n in sorted(s["models"].items())]
    text = "\n".join(f"- `{file}` (sha256 `{digest}`)" for file, digest in sorted(inputs.items()))
    if models:
        text += "\n\nRehearsal answers were chosen from these models' candidates; `row_id` is the candidate's id.\n\n"
        text += table(["source", "model", "rows"], models)
    return text


_LOADING = """```python
from datasets import load_dataset

mixture = load_dataset("path/to/this/folder")  # splits train and validation, from the Parquet files
```

`train.jsonl` and `val.jsonl` hold the same rows, for trainers that read JSON lines: Axolotl (`type: chat_template`,
`field_messages: messages`) and TRL's `SFTTrainer` take them as they are."""

_COLUMNS = """- `messages`: list of `{role, content}`; some sources add `tool_calls` (arguments as
  JSON text) or `reasoning_content`
- `tools`: JSON text of the tools on offer, where a source has any
- `source`, `slice`, `row_id`, `instruction_id`: where the row comes from
- `model`, `score`: who wrote the answer and its mean score from 1 to 5 (rehearsal rows only)
- `licence`: of the source, or of the model that wrote the answer
- `tokens`: length of the whole conversation; `truncated`: whether its end was cut to fit"""
