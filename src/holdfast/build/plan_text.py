"""The plan as text: one table in the order of the chain, totals by model and overall, and the reasons in full."""

import sys
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from holdfast.build.plan_figures import Rows
from holdfast.common.wording import counted, duration

IN_A_PIPE = 200  # columns; names that are folded there cannot be searched for
NAMED = 6  # jobs, or words of a command, that a reason names


class Planned(NamedTuple):
    """One stale stage. `certain` is false if it runs only if an upstream stage writes something new."""

    stage: str
    certain: bool
    why: list[str]
    rows: list[Rows]
    hours: float | None  # of the whole job, on one machine; None: unknown
    gpus: int
    after: list[str]  # stale stages that it waits for


class Machine(NamedTuple):
    """What jobs run on at once."""

    gpus: int
    cores: int


def print_plan(planned: list[Planned], machine: Machine, console: Console | None = None) -> None:
    """Print the table of the stale jobs, the totals, and why each job is stale."""
    console = console or Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else IN_A_PIPE)
    if not planned:
        console.print("Nothing to do: everything is up to date.")
        return
    console.print(table(planned))
    for line in [*totals(planned, machine), *notes(planned), "", "Why:", *reasons(planned)]:
        console.print(line, soft_wrap=True)


def table(planned: list[Planned]) -> Table:
    """One line for each job and model that it asks; columns of cost and GPUs where there are any."""
    priced = any(row.most_cost for step in planned for row in step.rows)
    gpus = any(step.gpus for step in planned)
    grid = Table(box=None, pad_edge=False)
    grid.add_column("job", overflow="fold", min_width=min(24, max(len(step.stage) for step in planned)))
    cost = ["cost", "at most"] if priced else []
    for heading in ["to ask", "reused", "output tokens", "at most", *cost, "time", *["GPUs"] * gpus]:
        grid.add_column(heading, justify="right", overflow="fold")
    for step in planned:
        time = "unknown" if step.hours is None else duration(step.hours * 3600)
        for number, row in enumerate(step.rows or [None]):
            first = number == 0
            shown = cells(row) if row else [""] * 4
            if priced:
                shown += [money([row]), money([row], most=True)] if row else ["", ""]
            shown += [time if first else ""] + [str(step.gpus or "") if first else ""] * gpus
            grid.add_row(step.stage if first else "", *shown)
    return grid


def cells(row: Rows) -> list[str]:
    """Rows to ask (an estimate is marked with ≈) and reused, and output tokens: expected, and at most."""
    if row.asked is None:
        return ["?", "", "", ""]
    about = "" if row.exact else "≈ "
    tokens = f"≈ {row.output_tokens:,}" if row.output_tokens < row.most_output_tokens else f"{row.output_tokens:,}"
    return [f"{about}{row.asked:,}", f"{about}{row.reused:,}", tokens, f"{row.most_output_tokens:,}"]


def totals(planned: list[Planned], machine: Machine) -> list[str]:
    """A line for each model that is asked, then one for all jobs, and how long they take here."""
    rows = [row for step in planned for row in step.rows]
    lines = [
        f"{name}: {summed([row for row in rows if row.model == name])}" for name in sorted({r.model for r in rows})
    ]
    unknown = sum(step.hours is None for step in planned)
    gpu_hours = sum((step.hours or 0) * step.gpus for step in planned)
    parts = [
        counted(len(planned), "job"),
        summed(rows) if rows else "",
        f"{gpu_hours:,.1f} GPU-hours" if gpu_hours else "",
    ]
    lines = ["", *lines, f"all: {', '.join(filter(None, parts))}"]
    seconds = wall_clock_s(planned, machine)
    if seconds:
        here = counted(machine.gpus, "GPU") if machine.gpus else counted(machine.cores, "core")
        without = f", without {counted(unknown, 'job')} of unknown duration" if unknown else ""
        lines.append(f"time with {here}: about {duration(seconds)}{without}")
    return lines


def wall_clock_s(planned: list[Planned], machine: Machine) -> float:
    """Seconds until the last job has ended, each started in the order of the plan as soon as it can be.

    A job holds its GPUs and one core. Jobs of unknown duration take no time.
    """
    ends: dict[str, float] = {}
    running: list[tuple[float, int]] = []  # end, GPUs
    now = 0.0
    waiting = list(planned)
    while waiting:
        used = sum(gpus for _, gpus in running)
        job = next(
            (
                step
                for step in waiting
                if all(ends.get(name, 0.0) <= now for name in step.after if name not in {w.stage for w in waiting})
                and not set(step.after) & {w.stage for w in waiting}
                and len(running) < machine.cores
                and (not running or used + step.gpus <= machine.gpus or not step.gpus)
            ),
            None,
        )
        if job:
            waiting.remove(job)
            ends[job.stage] = now + (job.hours or 0.0) * 3600
            running.append((ends[job.stage], job.gpus))
        else:
            now = min(end for end, _ in running)
            running = [(end, gpus) for end, gpus in running if end > now]
    return max(ends.values(), default=0.0)


def summed(rows: list[Rows]) -> str:
    """Model calls, reused rows, tokens and cost of these rows."""
    counts = [row for row in rows if row.asked is not None]
    if not counts:
        return "not counted"
    about = "" if all(row.exact for row in counts) else "about "
    output, most = sum(row.output_tokens for row in counts), sum(row.most_output_tokens for row in counts)
    parts = [
        f"{about}{counted(sum(row.asked or 0 for row in counts), 'model call')}",
        f"{about}{counted(sum(row.reused for row in counts), 'row')} reused",
        f"about {counted(sum(row.prompt_tokens for row in counts), 'prompt token')}" if most else "",
        f"about {counted(output, 'output token')} (at most {most:,})" if most else "",
        f"cost: about {money(counts)} (at most {money(counts, most=True)})" if money(counts, most=True) else "",
        "plus what is not counted" if len(counts) < len(rows) else "",
    ]
    return ", ".join(filter(None, parts))


def notes(planned: list[Planned]) -> list[str]:
    """What the figures leave out, and what they rest on."""
    rows = [(step.stage, row) for step in planned for row in step.rows]
    lines = [f"{stage}: {row.uncounted}" for stage, row in rows if row.uncounted]
    lines += [note for _, row in rows for note in row.basis]
    if any(row.asked for _, row in rows):
        lines.append("tokens: by the mean of the model's earlier answers in the step, where there are any")
    return ["", *dict.fromkeys(lines)] if lines else []


def reasons(planned: list[Planned]) -> list[str]:
    """All reasons why jobs are stale, in the order of the plan, jobs with the same reasons in one line."""
    alike: dict[tuple[bool, tuple[str, ...]], list[str]] = {}
    for step in planned:
        alike.setdefault((step.certain, tuple(step.why)), []).append(step.stage)
    return [
        f"  {named(stages)}{'' if certain else ' (if what it reads changes)'}: {'; '.join(why)}"
        for (certain, why), stages in alike.items()
    ]


def named(names: list[str], noun: str = "job", by: str = ", ") -> str:
    """The names, or the first of them and how many more; of jobs the table has them all."""
    if len(names) <= NAMED:
        return by.join(names)
    return f"{by.join(names[: NAMED - 1])} and {counted(len(names) - NAMED + 1, f'more {noun}')}"


def money(rows: list[Rows], most: bool = False) -> str:
    """The price of all rows, each currency by itself; empty if nothing has a price."""
    sums: dict[str, float] = {}
    for row in rows:
        sums[row.currency] = sums.get(row.currency, 0.0) + (row.most_cost if most else row.cost)
    priced = {row.currency for row in rows if row.most_cost}
    return " + ".join(f"{amount:,.2f} {currency}" for currency, amount in sorted(sums.items()) if currency in priced)
