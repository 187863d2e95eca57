"""How many rows a stale job would ask of a model and how many it would reuse, counted without starting one.

Where everything that a job reads is as it will be, its own `requests` are counted against the journal, exactly. Where a
stage above has yet to run, the count is an upper estimate from params.yaml.
"""

import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import polars as pl

from holdfast.errors import UserError
from holdfast.files import scan_table
from holdfast.inference import Pending, Request, pending
from holdfast.params.models import Model
from holdfast.params.whole import Params
from holdfast.steps import evaluate, generate, reconstruct, score
from holdfast.tables import GENERATIONS, INSTRUCTIONS, PROMPTS

Known = Callable[[str], bool]  # whether a file is there and will not be made anew


class Rows(NamedTuple):
    """What one job asks of one model. Tokens are upper bounds or estimates; None: not known before the inputs are."""

    model: str
    asked: int | None  # None: not known before the suites are there
    reused: int
    prompt_tokens: int | None
    output_tokens: int
    hours: float | None
    money: float
    estimate: bool  # an upper bound: a stage above has yet to run


def rows_of(shell: str, params: Params, known: Known) -> list[Rows]:
    """The rows of the job with this shell command; none if it asks no model."""
    words = shlex.split(shell)
    command = words[words.index("--") + 1 :]
    counts = {"reconstruct": _reconstruct, "generate": _generate, "score": _score, "evaluate": _evaluate}
    count = {f"holdfast.steps.{step}": count for step, count in counts.items()}.get(command[command.index("-m") + 1])
    return count(_arguments(command), params, known) if count else []


def _arguments(command: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for word in command:
        if word.startswith("--"):
            found[name := word[2:]] = []
        elif found:
            found[name].append(word)
    return found


def _reconstruct(args: dict[str, list[str]], params: Params, known: Known) -> list[Rows]:
    settings, model = params.reconstruct, params.models[params.base]
    further = 0
    if settings.multi_turn.share > 0:  # an answer and a further user turn for each turn after the first
        further = round(settings.samples * settings.multi_turn.share) * 2 * (settings.multi_turn.max_turns - 1)
    longest = settings.sampling.max_tokens
    if not known(args["prompts"][0]):
        return [_upper(params.base, model, "reconstruct", settings.samples + further, longest)]
    prompts = scan_table(args["prompts"][0], PROMPTS).sort("prompt_id").collect()
    requests = reconstruct.requests(prompts, settings.sampling, params.random_seed)
    rows = [_count(params.base, model, "reconstruct", requests, known, args["samples"][0])]
    return rows + ([_upper(params.base, model, "reconstruct", further, longest)] if further else [])


def _generate(args: dict[str, list[str]], params: Params, known: Known) -> list[Rows]:
    name = args["model"][0]
    sampling = params.generate.models[name].over(params.generate.sampling)
    if not known(args["instructions"][0]):
        rows = params.reconstruct.samples * params.generate.samples
        return [_upper(name, params.models[name], "generate", rows, sampling.max_tokens)]
    instructions = scan_table(args["instructions"][0], INSTRUCTIONS)
    requests = generate.requests(instructions, name, params.generate.samples, sampling, params.random_seed)
    return [_count(name, params.models[name], "generate", requests, known, args["generations"][0], "response")]


def _score(args: dict[str, list[str]], params: Params, known: Known) -> list[Rows]:
    name = args["judge"][0]
    model, sampling = params.models[name], params.score.judges[name].sampling.over(params.score.sampling)
    longest = 1 if params.score.reading == "expected" else sampling.max_tokens
    there = [path for path in args["generations"] if known(path)] if known(args["instructions"][0]) else []
    rows = []
    if there:
        instructions = scan_table(args["instructions"][0], INSTRUCTIONS)
        generations = pl.concat([scan_table(path, GENERATIONS) for path in there])
        left = score.questions(generations).filter(pl.col("candidate_id") == pl.col("asked_id"))
        rubric = Path(args["rubric"][0]).read_text(encoding="utf-8")
        requests = score.requests(instructions, generations, left, rubric, params.score, sampling, params.random_seed)
        rows.append(_count(name, model, "score", requests, known, args["scores"][0], "raw"))
        if params.score.reading == "parse":  # what cannot be read is asked again
            rows = [row._replace(estimate=True) for row in rows]
        each = instructions.select(pl.len()).collect().item() * params.generate.samples
    else:
        each = params.reconstruct.samples * params.generate.samples
    if missing := len(args["generations"]) - len(there):
        rows.append(_upper(name, model, "score", each * missing, longest))
    return rows


def _evaluate(args: dict[str, list[str]], params: Params, known: Known) -> list[Rows]:
    arm, base = args["arm"][0], params.models[params.base]
    model = (
        base if args["model"][0] == base.path else base.model_copy(update={"path": args["model"][0], "revision": None})
    )
    suites = params.evaluate.suites.values()
    own = [path for path in (getattr(suite, "path", None) for suite in suites) if path]
    if not own:
        return []
    if not all(map(known, own)):
        return [_upper(arm, model, "evaluate", 0, 0)._replace(asked=None, hours=None)]
    asked = evaluate.questions(params.evaluate)
    rows = [_count(arm, model, "evaluate", evaluate.requests(asked, params.evaluate.sampling), known)]
    for judge in sorted({suite.judge for _, suite, _ in asked.values() if suite.kind == "judge"}):
        judged = sum(suite.kind == "judge" and suite.judge == judge for _, suite, _ in asked.values())
        rows.append(_upper(judge, params.models[judge], "evaluate", judged, 1))
    return rows


def _count(
    name: str,
    model: Model,
    step: str,
    requests: Iterable[Request],
    known: Known,
    output: str | None = None,
    text_column: str = "text",
) -> Rows:
    """Requests against the journal; all of them are to be asked of a model that has yet to be made."""
    if model.folder is None or known(model.folder):
        found = pending(name, model, requests, output, text_column, step)
        return _rows(name, model, found, estimate=False)
    bounds = [request.sampling.max_tokens for request in requests]
    return _upper(name, model, step, len(bounds), 0)._replace(output_tokens=sum(bounds))


def _upper(name: str, model: Model, step: str, rows: int, longest: int) -> Rows:
    try:
        per_s = pending(name, model, [], step=step).rows_per_s
    except UserError:  # no such model yet
        per_s = model.rates.rows_per_s
    bound = Pending(rows, 0, 0, rows * longest, per_s)
    return _rows(name, model, bound, estimate=True)._replace(prompt_tokens=None)


def _rows(name: str, model: Model, found: Pending, estimate: bool) -> Rows:
    rates = model.rates
    money = (
        found.prompt_tokens * rates.input_per_million_tokens + found.max_output_tokens * rates.output_per_million_tokens
    ) / 1e6
    hours = found.asked / found.rows_per_s / 3600 if found.rows_per_s else None if found.asked else 0.0
    return Rows(name, found.asked, found.reused, found.prompt_tokens, found.max_output_tokens, hours, money, estimate)
