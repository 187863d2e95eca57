"""What a pilot shows, in the terminal and as a page: rows by step, what was measured, instructions with their answers.

The functions are called in the pilot's folder.
"""

from pathlib import Path
from typing import NamedTuple

import polars as pl
from rich.console import Console
from rich.table import Table
from rich.text import Text

from holdfast.cli.pilot_judges import unread
from holdfast.common.files import read_json, scan_table, scan_tables
from holdfast.common.tables import REJECTED_CANDIDATES, SCORES, SELECTED
from holdfast.common.wording import counted
from holdfast.inference.fingerprint import fingerprint
from holdfast.inference.journal import Journal
from holdfast.params.schema import Params
from holdfast.steps.report.page import clip, templates
from holdfast.steps.report.row_counts import TableCount, count_table, rejected_files
from holdfast.steps.report.samples import Row, dropped, example_instructions
from holdfast.steps.report.sections import (
    Section,
    committee_figures,
    reconstruction_figures,
    shared_figures,
    steps_of,
)

SHOWN = 5  # instructions in the terminal
ON_PAGE = 30
SELECTION = "data/filter/selected.parquet"
TEXT = 300  # characters of a text in the terminal


class Measured(NamedTuple):
    """Of one model in one step, over all rows in its table."""

    step: str
    model: str
    rows: int
    prompt_tokens: float  # mean of a row
    output_tokens: float
    rows_per_s: float | None


def tables() -> list[str]:
    """The pilot's tables in the order of the chain."""
    paths = ["data/seed/prompts.parquet", "data/reconstruct/samples.parquet", "data/clean/instructions.parquet"]
    for step in ("generate", "score"):
        paths += sorted(str(path) for path in Path("data", step).glob("*.parquet") if ".rejected." not in path.name)
    return [path for path in [*paths, SELECTION] if Path(path).exists()]


def rejected() -> dict[str, str]:
    """The files of dropped rows by the table that they belong to."""
    return rejected_files(sorted(map(str, Path("data").glob("*/*rejected.parquet"))))


def measured(params: Params) -> list[Measured]:
    """From the tables and the models' journals."""
    found = []
    asked = [("reconstruct", params.base, "data/reconstruct/samples.parquet")]
    asked += [("generate", name, f"data/generate/{name}.parquet") for name in params.generate.models]
    asked += [("score", name, f"data/score/{name}.parquet") for name in params.score.judges]
    for step, name, path in asked:
        if not Path(path).exists():  # the pilot has stopped before
            continue
        model = params.models[name].without_template() if step == "reconstruct" else params.models[name]
        table = pl.scan_parquet(path).select("prompt_tokens", "output_tokens")
        rows, prompt, output = table.select(pl.len(), pl.all().mean()).collect().row(0)
        speed = Journal(fingerprint(name, model, online=False), write=False).speed(step)
        found.append(Measured(step, name, rows, prompt or 0.0, output or 0.0, speed))
    return found


def examples(size: int) -> list[Row]:
    """Instructions with their candidates, as in the report."""
    generations, scores = ([path for path in tables() if path.startswith(f"data/{s}/")] for s in ("generate", "score"))
    selection = [(SELECTION, SELECTED), (rejected().get("data/filter/selected", ""), REJECTED_CANDIDATES)]
    kept, lost = (
        scan_table(path, has) if Path(path).is_file() else pl.LazyFrame(schema=has) for path, has in selection
    )
    judged = scan_tables(scores, SCORES) if scores else pl.LazyFrame(schema=SCORES)
    fixed = ("data/seed/prompts.parquet", "data/clean/instructions.parquet")
    return example_instructions(*fixed, generations, judged, kept, lost, size)


def pilot_page(params: Params) -> str:
    """The pilot as one HTML file."""
    counts = [count_table(path, rejected()) for path in tables()]
    lost = [{"name": owner.removeprefix("data/"), "rows": dropped(path, 3)} for owner, path in rejected().items()]
    sections = [
        Section("chain", "rows by step", shared_figures)._replace(
            figures={"steps": steps_of(counts), "tables": counts}  # type: ignore[arg-type]
        )
    ]
    for name, link, path, figures in (
        ("reconstruct", "reconstruction", "metrics/clean.json", reconstruction_figures),
        ("committee", "committee", "metrics/filter.json", committee_figures),
    ):
        if Path(path).exists():
            sections.append(Section(name, link, figures(read_json(path))))  # type: ignore[arg-type]
    shown = {"examples": examples(ON_PAGE), "dropped": [part for part in lost if part["rows"]]}
    sections.append(Section("examples", "examples", shown))  # type: ignore[arg-type]
    return (
        templates()
        .get_template("pilot.html.j2")
        .render(
            base=params.base,
            samples=counts[1].rows,
            measured=measured(params),
            unread=unread(params),
            sections=sections,
        )
    )


def print_pilot(params: Params, page: str, console: Console | None = None) -> None:
    """Print a few instructions with their answers, what was dropped, the rows by step, what was measured, and which
    judges have replies that are no scores."""
    console = console or Console(highlight=False, markup=False)
    for row in examples(SHOWN):
        console.print(Text(f"\n{clip(row['instruction'], TEXT)}", "bold"))
        for one in row["candidates"]:
            score = "no score" if one["score"] is None else f"{one['score']:.2f}"
            judged = ", ".join(f"{s['judge']} {s['score']:.2f}" for s in one["scores"] or [] if s["score"] is not None)
            outcome = one["reason"] or ("not a candidate" if SELECTION in tables() else "nothing was selected")
            console.print(f"  {score}  {outcome}  {one['model']} ({judged or 'no judge gave a score'})")
            console.print(Text(f"    {clip(one['response'], TEXT)}"))
    for owner, path in rejected().items():
        if lost := dropped(path, 1):
            console.print(Text(f"\nDropped by {owner.removeprefix('data/')}, an example of each reason:", "bold"))
            for part in lost:
                console.print(Text(f"  {part['reason']}: {clip(part['text'], TEXT)}"))
    counts = [count_table(path, rejected()) for path in tables()]
    console.print(Text("\nRows by step", "bold"), step_table(counts), sep="\n")
    console.print(Text("\nMeasured", "bold"), measured_table(measured(params)), sep="\n")
    for line in unread(params):
        console.print(Text(f"\n{line}", "bold"), soft_wrap=True)
    console.print(f"\nPage: {Path(page).resolve()}", soft_wrap=True)


def step_table(counts: list[TableCount]) -> Table:
    grid = Table(box=None, pad_edge=False)
    for heading in ("step", "rows", "dropped"):
        grid.add_column(heading)
    for part in steps_of(counts):
        grid.add_row(part["step"], part["rows"], part["lost"])
    samples, instructions = (next(c.rows for c in counts if c.step == step) for step in ("reconstruct", "clean"))
    grid.add_row("", f"{instructions / max(samples, 1):.0%} of {counted(samples, 'sample')} became instructions", "")
    return grid


def measured_table(rows: list[Measured]) -> Table:
    grid = Table(box=None, pad_edge=False)
    for heading in ("step", "model", "rows", "prompt tokens/row", "output tokens/row", "rows/s"):
        grid.add_column(heading, justify="left" if heading in ("step", "model") else "right")
    for row in rows:
        speed = f"{row.rows_per_s:,.1f}" if row.rows_per_s else "not measured"
        grid.add_row(
            row.step, row.model, f"{row.rows:,}", f"{row.prompt_tokens:.1f}", f"{row.output_tokens:.1f}", speed
        )
    return grid
