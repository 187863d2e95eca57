"""`holdfast show`: one instruction with all that became of it, one test item with every arm's answer, or a file of
preference pairs."""

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.text import Text

from holdfast.cli.indented import print_indented
from holdfast.cli.show_pairs import is_pairs, pairs_of, show_pairs
from holdfast.common.errors import UserError
from holdfast.common.pilot import built_or_piloted
from holdfast.common.wording import counted

INSTRUCTIONS = "data/clean/instructions.parquet"
LISTED = 20  # matches that are listed
ID_LENGTH = 16
Row = dict[str, Any]


def command(subparsers: Any) -> None:
    """Add `show` to the command line."""
    about = (
        "show one instruction (prompt, candidates, scores, why kept or dropped, mixtures, pairs), test item (arms'"
        " answers) or file of preference pairs"
    )
    parser = subparsers.add_parser("show", help=about)
    parser.add_argument(
        "what",
        nargs="+",
        metavar="ID",
        help="an id, its first digits, words that the text contains, or a file in data/preferences",
    )
    parser.set_defaults(run=main)


def main(arguments: argparse.Namespace, console: Console | None = None) -> None:
    """Print the one match, or the list of matches. Raises UserError when there is none."""
    console = console or Console(highlight=False, markup=False)
    words = " ".join(arguments.what)
    if is_pairs(words):
        show_pairs(Path(words).with_suffix(".parquet"), console)
        return
    instructions, items = matching_instructions(words), matching_items(words)
    found = len(instructions) + len(items)
    if not found:
        where = "instruction or test item" if built_or_piloted(INSTRUCTIONS) else "test item (nothing is sampled yet)"
        raise UserError(f"no {where} has the id or the words {words!r}")
    if found > 1:
        listed = [("instruction", row["instruction_id"], row["instruction"]) for row in instructions]
        listed += [(f"{row['suite']} item", row["item_id"], row["prompt"]) for row in items]
        console.print(f"{counted(found, 'match', 'matches')}; `holdfast show ID` shows one:")
        for kind, identifier, text in listed[:LISTED]:
            console.print(Text(f"{identifier}  {kind}: {' '.join(str(text).split())[:100]}"), soft_wrap=True)
        if found > LISTED:
            console.print(f"… and {found - LISTED} more")
    elif instructions:
        show_instruction(instructions[0], console)
    else:
        show_item(items[0], console)


def matching_instructions(words: str) -> list[Row]:
    """Rows of the instructions' table: the one with this id, else those whose id or text matches."""
    path = built_or_piloted(INSTRUCTIONS)
    return _matching(path, "instruction_id", "instruction", words) if path else []


def matching_items(words: str) -> list[Row]:
    """Items of the evaluations (suite, item_id, prompt), one row for each, whichever arms have answered it."""
    found: dict[tuple[str, str], Row] = {}
    for path in sorted(Path("data/evaluate").glob("*.parquet")):
        for row in _matching(path, "item_id", "prompt", words):
            found.setdefault((row["suite"], row["item_id"]), row)
    return list(found.values())


def _matching(path: Path, key: str, text: str, words: str) -> list[Row]:
    contains = pl.all_horizontal(
        pl.col(text).str.to_lowercase().str.contains(word, literal=True) for word in words.lower().split()
    )
    rows = pl.scan_parquet(path, glob=False)
    by_id = pl.col(key).str.starts_with(words.lower()) if " " not in words else pl.lit(False)
    found = rows.filter(by_id | contains).sort(key).collect().rows(named=True)
    exact = [row for row in found if row[key] == words]
    return exact or found


def show_instruction(row: Row, console: Console) -> None:
    """Print an instruction and everything that was made of it."""
    here = pl.col("instruction_id") == row["instruction_id"]

    def head(text: str) -> None:
        console.print(Text(f"\n{text}", "bold"))

    body = partial(print_indented, console)

    console.print(Text(f"instruction {row['instruction_id']}", "bold"))
    for turn in row["messages"]:
        body(f"{turn['role']}: {turn['content']}")
    about = [f"sampled {counted(row['count'], 'time')}", f"slice {row['slice']}", f"prompt {row['prompt_id']}"]
    body(", ".join(about + ([f"language {row['language']}"] if row["language"] else [])))
    for prompt in _rows("data/seed/prompts.parquet", pl.col("prompt_id") == row["prompt_id"]):
        head("The base model continued")
        body(repr(prompt["prefix_text"]))
    for hit in _rows("data/clean/contamination.parquet", here):
        body(f"overlaps with {hit['suite']} item {hit['item_id']} ({hit['kind']}): {hit['span']}")

    head("Candidates")
    candidates = list(_candidates(here))
    if not candidates:
        body("none yet: no committee model has answered")
    for one in candidates:
        score = "no score" if one["score"] is None else f"{one['score']:.2f}"
        judged = ", ".join(f"{judge} {value}" for judge, value in one["judges"])
        body(f"{score}  {one['outcome']}  {one['model']} {one['sample']}  {f'({judged})' if judged else ''}".rstrip())
        body(one["response"], 4)

    head("Mixtures")
    mixed = list(_mixtures(here))
    for line in mixed:
        body(line)
    if not mixed:
        body("in none" if any(Path("data/mix").glob("*/train.parquet")) else "none yet")
    for number, line in enumerate(pairs_of(here)):
        if not number:
            head("Preference pairs")
        body(line)


def _rows(path: str, where: pl.Expr) -> list[Row]:
    """The rows of a table of the build, or of the pilot; none where there is no such table."""
    there = built_or_piloted(path)
    return pl.scan_parquet(there, glob=False).filter(where).collect().rows(named=True) if there else []


def _candidates(here: pl.Expr) -> Iterator[Row]:
    """Answers to the instruction, best first: model, sample, response, judges, score, outcome."""
    judges: dict[str, list[tuple[str, str]]] = {}
    for path in _tables("score"):
        for row in _rows(path, here):
            shown = row["status"] if row["score"] is None else f"{row['score']:.2f}"
            judges.setdefault(row["candidate_id"], []).append((row["judge"], shown))
    outcomes = {
        row["candidate_id"]: (row["score"], f"dropped: {row['reason']}")
        for row in _rows("data/filter/selected.rejected.parquet", here)
    }
    outcomes |= {row["candidate_id"]: (row["score"], "kept") for row in _rows("data/filter/selected.parquet", here)}
    found: list[Row] = []
    for path in _tables("generate"):
        for row in _rows(path, here):
            score, outcome = outcomes.get(row["candidate_id"], (None, "not selected yet"))
            found.append(row | {"judges": judges.get(row["candidate_id"], []), "score": score, "outcome": outcome})
        for row in _rows(path.replace(".parquet", ".rejected.parquet"), here):
            outcome = f"dropped by generate: {row['reason']} {row['detail'] or ''}".rstrip()
            found.append(row | {"judges": [], "score": None, "outcome": outcome})
    yield from sorted(found, key=lambda one: (-(one["score"] or 0), one["model"], one["sample"]))


def _tables(step: str) -> list[str]:
    """Paths of the step's tables, of the build or of the pilot."""
    built = sorted(Path("data", step).glob("*.parquet"))
    piloted = sorted(Path(".holdfast/pilot/data", step).glob("*.parquet"))
    names = dict.fromkeys(path.name for path in [*built, *piloted] if ".rejected." not in path.name)
    return [f"data/{step}/{name}" for name in names]


def _mixtures(here: pl.Expr) -> Iterator[str]:
    for path in sorted(Path("data/mix").glob("*/*.parquet")):
        if path.stem in ("train", "val"):
            for row in _rows(str(path), here):
                tokens = counted(row["tokens"], "token")
                yield f"{path.parent.name} ({path.stem}): the answer of {row['model']}, {tokens}"
    for path in sorted(Path("data/mix").glob("*/rejected.parquet")):
        kept = {row["candidate_id"] for row in _rows("data/filter/selected.parquet", here)}
        for row in _rows(str(path), pl.col("row_id").is_in(kept)):
            yield f"{path.parent.name}: dropped: {row['reason']} {row['detail'] or ''}".rstrip()


def show_item(item: Row, console: Console) -> None:
    """Print a test item with the answer of the base model and of every arm."""
    console.print(Text(f"{item['suite']} item {item['item_id']}, task {item['task']}", "bold"))
    print_indented(console, item["prompt"])
    console.print(Text("\nExpected", "bold"))
    print_indented(console, item["expected"])
    here = (pl.col("suite") == item["suite"]) & (pl.col("item_id") == item["item_id"])
    paths = sorted(Path("data/evaluate").glob("*.parquet"), key=lambda path: (path.stem != "base", path.stem))
    for path in paths:
        for row in _rows(str(path), here):
            verdict = {True: "right", False: "wrong", None: "not graded"}[row["correct"]]
            console.print(Text(f"\n{path.stem}: {verdict}", "bold"))
            print_indented(console, row["answer"])
