"""What `holdfast show` prints of preference pairs: a file of them, and those of one instruction."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.text import Text

from holdfast.cli.indented import print_indented
from holdfast.cli.sample import STEPS, drawn, text_of
from holdfast.common.files import scan_parquet, scan_table
from holdfast.common.wording import counted
from holdfast.steps.preferences.tables import PREFERENCES, PREFERENCES_REJECTED

FOLDER = Path("data/preferences")
SHOWN = 3


def is_pairs(words: str) -> bool:
    """Whether this is the path of a file of pairs."""
    path = Path(words)
    return path.parent == FOLDER and path.suffix in (".jsonl", ".parquet") and ".rejected" not in path.name


def show_pairs(table: Path, console: Console) -> None:
    """Print how many pairs there are, their margins, who wrote the answers, and a few of them.

    Raises UserError where the table is not there.
    """
    pairs = scan_table(table, PREFERENCES).collect()
    lost = scan_parquet(table.with_suffix(".rejected.parquet")).select(pl.len()).collect().item()
    console.print(Text(f"{table.with_suffix('.jsonl')}", "bold"), soft_wrap=True)
    print_indented(console, f"{counted(pairs.height, 'pair')}; {counted(lost, 'instruction')} without one")
    least, median, most = (pairs["margin"].quantile(share, "linear") for share in (0, 0.5, 1))
    print_indented(console, f"margins: from {least:.2f} to {most:.2f}, median {median:.2f}")
    for model in sorted({*pairs["model_chosen"], *pairs["model_rejected"]}):
        chosen, rejected = (int((pairs[f"model_{side}"] == model).sum()) for side in ("chosen", "rejected"))
        print_indented(console, f"{model}: {chosen:,} chosen, {rejected:,} rejected")
    for _, row in drawn([table], SHOWN, 0):
        console.print()
        for name in STEPS["preferences"].shown:
            print_indented(console, f"{name}: {text_of(row[name])}")
    more = f"\n`holdfast sample preferences --rows N` prints more; the card is {table.with_suffix('.md')}."
    console.print(more, soft_wrap=True)


def pairs_of(here: pl.Expr) -> Iterator[str]:
    """A line for each selection with pairs: the pair of the instruction that `here` picks, or why it has none."""
    for path in sorted(FOLDER.glob("*.parquet")):
        name, rejected = path.name.split(".")[0], ".rejected." in path.name
        rows = scan_table(path, PREFERENCES_REJECTED if rejected else PREFERENCES).filter(here).collect()
        for row in rows.iter_rows(named=True):
            if rejected:
                yield f"{name}: none: {row['reason']} {row['detail'] or ''}".rstrip()
            else:
                sides = (f"{row[f'model_{side}']} ({row[f'score_{side}']:.2f})" for side in ("chosen", "rejected"))
                yield f"{name}: {' before '.join(sides)}, margin {row['margin']:.2f}"
