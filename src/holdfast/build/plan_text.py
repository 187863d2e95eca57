"""The plan as text: one table in the order of the chain, totals by model and overall, and the reasons in full."""

from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from holdfast.build.plan_rows import Rows
from holdfast.common.wording import counted, duration


class Planned(NamedTuple):
    """One stale stage. `certain` is false if it runs only if an upstream stage writes something new."""

    stage: str
    certain: bool
    why: list[str]
    rows: list[Rows]
    hours: float | None  # of the whole job, on one machine; None: unknown
    gpus: int


def print_plan(planned: list[Planned], console: Console | None = None) -> None:
    """Print the table of the stale jobs, the totals, and why each job is stale."""
    console = console or Console(highlight=False, markup=False)
    if not planned:
        console.print("Nothing to do: everything is up to date.")
        return
    console.print(table(planned))
    for line in [*totals(planned), *notes(planned), "", "Why:", *reasons(planned)]:
        console.print(line, soft_wrap=True)


def table(planned: list[Planned]) -> Table:
    """One line for each job and model that it asks; columns of cost and GPUs where there are any."""
    priced = any(row.money for step in planned for row in step.rows)
    gpus = any(step.gpus for step in planned)
    grid = Table(box=None, pad_edge=False)
    grid.add_column("job", overflow="fold", min_width=min(24, max(len(step.stage) for step in planned)))
    headings = ["to ask", "reused", "output tokens", "at most", "time", *["cost ≤"] * priced, *["GPUs"] * gpus]
    for heading in headings:
        grid.add_column(heading, justify="right", overflow="fold")
    for step in planned:
        time = "unknown" if step.hours is None else duration(step.hours * 3600)
        for number, row in enumerate(step.rows or [None]):
            first = number == 0
            shown = [*(cells(row) if row else [""] * 4), time if first else ""]
            shown += [money([row]) if row else ""] * priced + [str(step.gpus or "") if first else ""] * gpus
            grid.add_row(step.stage if first else "", *shown)
    return grid


def cells(row: Rows) -> tuple[str, str, str, str]:
    """Rows to ask (a bound is marked with ≤), rows reused, output tokens estimated and at most."""
    if row.asked is None:
        return "?", "", "", ""
    asked = f"≤ {row.asked:,}" if row.estimate else f"{row.asked:,}"
    likely = "unknown" if row.likely_output_tokens is None else f"{row.likely_output_tokens:,}"
    return asked, f"{row.reused:,}", likely, f"{row.output_tokens:,}"


def totals(planned: list[Planned]) -> list[str]:
    """A line for each model that is asked, then one for all jobs."""
    rows = [row for step in planned for row in step.rows]
    lines = [
        f"{name}: {summed([row for row in rows if row.model == name])}" for name in sorted({r.model for r in rows})
    ]
    known = sum(step.hours or 0 for step in planned)
    unknown = sum(step.hours is None for step in planned)
    gpu_hours = sum((step.hours or 0) * step.gpus for step in planned)
    parts = [
        counted(len(planned), "job"),
        summed(rows) if rows else "",
        f"{duration(known * 3600)} one after the other" if known else "",
        f"{gpu_hours:,.1f} GPU-hours" if gpu_hours else "",
        f"{counted(unknown, 'job')} of unknown duration" if unknown else "",
    ]
    return ["", *lines, f"all: {', '.join(filter(None, parts))}"]


def summed(rows: list[Rows]) -> str:
    """Model calls, reused rows, output tokens and cost of these rows."""
    counts = [row for row in rows if row.asked is not None]
    likely = [row.likely_output_tokens for row in counts if row.likely_output_tokens is not None]
    if not counts:
        return "not counted"
    most = "at most " if any(row.estimate for row in counts) else ""
    parts = [
        f"{most}{counted(sum(row.asked or 0 for row in counts), 'model call')}",
        f"{counted(sum(row.reused for row in counts), 'row')} reused",
        f"at most {counted(sum(row.output_tokens for row in counts), 'output token')}",
        f"about {counted(sum(likely), 'output token')} expected" if likely and len(likely) == len(counts) else "",
        f"cost: at most about {price}" if (price := money(rows)) else "",
        "plus what is not counted" if len(counts) < len(rows) else "",
    ]
    return ", ".join(filter(None, parts))


def notes(planned: list[Planned]) -> list[str]:
    """What the figures leave out or rest on."""
    rows = [(step.stage, row) for step in planned for row in step.rows]
    lines = [f"{stage}: {row.uncounted}" for stage, row in rows if row.uncounted]
    lines += [f"{stage}: cost without the prompts" for stage, row in rows if row.money and row.prompt_tokens is None]
    if any(row.likely_output_tokens is not None for _, row in rows):
        lines.append("output tokens: rows to ask × the mean of the model's earlier answers in this step")
    return ["", *lines] if lines else []


def reasons(planned: list[Planned]) -> list[str]:
    """Each job with all reasons why it is stale."""
    return [
        f"  {step.stage}{'' if step.certain else ' (if what it reads changes)'}: {'; '.join(step.why)}"
        for step in planned
    ]


def money(rows: list[Rows]) -> str:
    """The price of all rows, each currency by itself; empty if nothing has a price."""
    sums: dict[str, float] = {}
    for row in rows:
        sums[row.currency] = sums.get(row.currency, 0.0) + row.money
    return " + ".join(f"{amount:,.2f} {currency}" for currency, amount in sorted(sums.items()) if amount)
