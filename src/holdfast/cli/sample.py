"""`holdfast sample`: a few rows of any step's tables, to read."""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from rich.console import Console
from rich.text import Text

from holdfast.cli.indented import print_indented
from holdfast.common.errors import UserError
from holdfast.common.pilot import FOLDER

TEXT = 1000  # characters of a value that are shown


class Step(NamedTuple):
    """Where a step's rows are, and which of their columns say what they are."""

    tables: str  # a pattern
    shown: tuple[str, ...]


STEPS = {
    "seed": Step("data/seed/prompts.parquet", ("prompt_id", "kind", "samples", "system", "prefix_text")),
    "reconstruct": Step("data/reconstruct/samples.parquet", ("sample_id", "finish_reason", "text")),
    "clean": Step("data/clean/instructions.parquet", ("instruction_id", "count", "language", "system", "instruction")),
    "generate": Step("data/generate/*.parquet", ("instruction_id", "model", "sample", "finish_reason", "response")),
    "score": Step("data/score/*.parquet", ("instruction_id", "judge", "score", "status", "raw")),
    "filter": Step("data/filter/*.parquet", ("instruction_id", "model", "score", "instruction", "response")),
    "preferences": Step(
        "data/preferences/*.parquet", ("instruction_id", "margin", "model_chosen", "prompt", "chosen", "rejected")
    ),
    "mix": Step("data/mix/*/*.parquet", ("source", "row_id", "model", "tokens", "messages")),
    "evaluate": Step("data/evaluate/*.parquet", ("suite", "item_id", "correct", "prompt", "expected", "answer")),
}
REJECTED = ("reason", "detail", "instruction_id", "row_id", "model", "score", "instruction", "response", "text")


def command(subparsers: Any) -> None:
    """Add `sample` to the command line."""
    parser = subparsers.add_parser("sample", help="print a few random rows of a step's tables, or of what it dropped")
    parser.add_argument("step", metavar="STEP", help=", ".join(STEPS))
    parser.add_argument("--rows", type=int, default=5, help="how many rows (5)")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other rows (0)")
    parser.add_argument("--rejected", action="store_true", help="rows that the step dropped, with their reasons")
    parser.add_argument("--pilot", action="store_true", help="of the last pilot, not of the build")
    parser.set_defaults(run=main)


def main(arguments: argparse.Namespace, console: Console | None = None) -> None:
    """Print the rows. Raises UserError for an unknown step, and where the step has no tables yet."""
    console = console or Console(highlight=False, markup=False)
    if arguments.step not in STEPS:
        raise UserError(f"no step {arguments.step!r} with rows; steps: {', '.join(STEPS)}")
    if arguments.rows < 1:
        raise UserError(f"--rows {arguments.rows}: must be at least 1")
    folder = FOLDER if arguments.pilot else Path()
    paths = tables(folder, arguments.step, arguments.rejected)
    if not paths:
        run = "holdfast pilot" if arguments.pilot else "snakemake --cores all"
        raise UserError(f"{folder / STEPS[arguments.step].tables}: not there yet; run `{run}`")
    found = drawn(paths, arguments.rows, arguments.seed)
    shown = REJECTED if arguments.rejected else STEPS[arguments.step].shown
    for path, row in found:
        console.print(Text(f"\n{path}", "bold"), soft_wrap=True)
        for name in shown:
            if row.get(name) is not None:
                print_indented(console, f"{name}: {text_of(row[name])}")
    if not found:
        console.print("no rows")


def tables(folder: Path, step: str, rejected: bool) -> list[Path]:
    """The step's tables of rows, or of dropped rows."""
    if rejected:
        return sorted(folder.glob(f"data/{step}/**/*rejected.parquet"))
    others = ("rejected.parquet", "contamination.parquet", "all_scores.parquet")
    return [path for path in sorted(folder.glob(STEPS[step].tables)) if not path.name.endswith(others)]


def drawn(paths: list[Path], rows: int, seed: int) -> list[tuple[Path, dict[str, Any]]]:
    """Random rows of all tables together, in the tables' order; the same for the same seed."""
    sizes = [pl.scan_parquet(path, glob=False).select(pl.len()).collect().item() for path in paths]
    numbers = pl.int_range(sum(sizes), eager=True)
    chosen = sorted(numbers.sample(min(rows, len(numbers)), seed=seed))
    found, start = [], 0
    for path, size in zip(paths, sizes, strict=True):
        here = [number - start for number in chosen if start <= number < start + size]
        if here:
            table = pl.scan_parquet(path, glob=False).with_row_index("row_number")
            some = table.filter(pl.col("row_number").is_in(here)).collect()
            found += [(path, row) for row in some.iter_rows(named=True)]
        start += size
    return found


def text_of(value: Any) -> str:
    """A value for people: conversations by turn, long texts cut."""
    if isinstance(value, list) and value and isinstance(value[0], dict) and "role" in value[0]:
        text = "".join(f"\n{turn['role']}: {turn['content']}" for turn in value)
    else:
        text = f"{value:.2f}" if isinstance(value, float) else str(value)
    return text if len(text) <= TEXT else f"{text[:TEXT]} … ({len(text) - TEXT:,} more characters)"
