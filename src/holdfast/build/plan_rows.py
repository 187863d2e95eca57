"""How many rows a stale job would ask of a model and how many it would reuse, counted without starting one.

If all inputs of a job are up to date, its own `requests` are compared with the journal, exactly. If an upstream stage
has yet to run, rows and output tokens are upper bounds from params.yaml. Prompt tokens, and so the cost, are always
upper estimates, because tokenizers differ.
"""

import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import polars as pl

from holdfast.common.errors import UserError
from holdfast.common.files import scan_table
from holdfast.common.tables import GENERATIONS, INSTRUCTIONS, PROMPTS
from holdfast.inference.ask import Pending, Request, pending
from holdfast.inference.params import Model
from holdfast.inference.token_estimate import prompt_tokens as estimated_prompt
from holdfast.inference.token_estimate import text_tokens
from holdfast.params.schema import Params
from holdfast.steps.evaluate import requests as evaluate
from holdfast.steps.evaluate.params import HarnessSuite
from holdfast.steps.generate import candidates as generate
from holdfast.steps.reconstruct import samples as reconstruct
from holdfast.steps.score import requests as score
from holdfast.steps.seed import files as seeds

Known = Callable[[str], bool]  # whether a file exists and will not be built again


TEMPLATE_TOKENS = 32  # what a chat template and the judge's tags put around a text


class Rows(NamedTuple):
    """What one job asks of one model. Output tokens are an upper bound, prompt tokens and money estimates of one."""

    model: str
    asked: int | None  # None: not counted, for the reason in `uncounted`
    reused: int
    prompt_tokens: int | None  # None: not known before the inputs are
    output_tokens: int
    hours: float | None
    money: float
    estimate: bool  # an upper bound: an upstream stage has yet to run, or unreadable replies are asked for again
    uncounted: str = ""
    currency: str = "USD"
    likely_output_tokens: int | None = None  # of `asked`, by the mean of earlier answers; None: none are known


def rows_of(shell: str, params: Params, known: Known) -> list[Rows]:
    """The rows of the job with this shell command; none if it asks no model."""
    words = shlex.split(shell)
    command = words[words.index("--") + 1 :]
    counts = {"reconstruct": _reconstruct, "generate": _generate, "score": _score, "evaluate": _evaluate}
    module = command[command.index("-m") + 1] if "-m" in command else ""
    count = {f"holdfast.steps.{step}": count for step, count in counts.items()}.get(module)
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
    settings, model = params.reconstruct, params.models[params.base].without_template()
    further, turns = 0, settings.multi_turn
    if turns.share > 0:  # an answer and a further user turn for each turn after the first
        further = round(params.seed.samples * turns.share) * 2 * (turns.max_turns - 1)
    longest = settings.sampling.max_tokens
    again = [_upper(params.base, model, "reconstruct", further, max(longest, turns.answer.max_tokens))]
    if not known(args["prompts"][0]):
        return [_upper(params.base, model, "reconstruct", params.seed.samples, longest), *(again if further else [])]
    prompts = scan_table(args["prompts"][0], PROMPTS).sort("prompt_id").collect()
    requests = reconstruct.requests(prompts, settings.sampling, params.random_seed)
    rows = [_count(params.base, model, "reconstruct", requests, known, args["samples"][0])]
    return rows + (again if further else [])


def _instruction_tokens(params: Params) -> int:
    """The longest conversation that may be reconstructed: a system prompt, the user's turns, the answers in between."""
    named = {params.seed.system_prompts, *(part.system_prompts for part in params.seed.slices.values())}
    paths = [path for path in named if path is not None and Path(path).exists()]
    system = max((text_tokens(text or "") for path in paths for text in seeds.system_prompts(path)), default=0)
    turns = params.reconstruct.multi_turn
    further = (turns.max_turns - 1) * (turns.answer.max_tokens + params.reconstruct.sampling.max_tokens)
    return system + params.reconstruct.sampling.max_tokens + (further if turns.share > 0 else 0) + TEMPLATE_TOKENS


def _generate(args: dict[str, list[str]], params: Params, known: Known) -> list[Rows]:
    name = args["model"][0]
    sampling = params.generate.models[name].over(params.generate.sampling)
    if not known(args["instructions"][0]):
        rows = params.seed.samples * params.generate.samples
        prompt = _instruction_tokens(params)
        return [_upper(name, params.models[name], "generate", rows, sampling.max_tokens, prompt)]
    instructions = scan_table(args["instructions"][0], INSTRUCTIONS)
    requests = generate.requests(instructions, name, params.generate.samples, sampling, params.random_seed)
    return [_count(name, params.models[name], "generate", requests, known, args["generations"][0], "response")]


def _score(args: dict[str, list[str]], params: Params, known: Known) -> list[Rows]:
    name = args["judge"][0]
    model, sampling = params.models[name], params.score.judges[name].sampling.over(params.score.sampling)
    longest = 1 if params.score.method == "expected" else sampling.max_tokens
    attempts = score.most_attempts(params.score, sampling)
    there = [path for path in args["generations"] if known(path)] if known(args["instructions"][0]) else []
    rubric = Path(args["rubric"][0]).read_text(encoding="utf-8") if Path(args["rubric"][0]).exists() else ""
    rows = []
    if there:
        instructions = scan_table(args["instructions"][0], INSTRUCTIONS)
        generations = pl.concat([scan_table(path, GENERATIONS) for path in there])
        left = score.questions(generations).filter(pl.col("candidate_id") == pl.col("asked_id"))
        seed = params.random_seed
        requests = (
            request
            for attempt in range(1, attempts + 1)  # what cannot be read is asked again
            for request in score.requests(
                instructions, generations, left, rubric, params.score, sampling, seed, attempt
            )
        )
        rows.append(_count(name, model, "score", requests, known, args["scores"][0], "raw"))
        rows = [row._replace(estimate=row.estimate or attempts > 1) for row in rows]
        each = instructions.select(pl.len()).collect().item() * params.generate.samples
    else:
        each = params.seed.samples * params.generate.samples
    if missing := len(args["generations"]) - len(there):
        answer = max(own.over(params.generate.sampling).max_tokens for own in params.generate.models.values())
        prompt = _instruction_tokens(params) + answer + text_tokens(rubric) + TEMPLATE_TOKENS
        rows.append(_upper(name, model, "score", each * missing * attempts, longest, prompt))
    return rows


def _evaluate(args: dict[str, list[str]], params: Params, known: Known) -> list[Rows]:
    arm, base = args["arm"][0], params.models[params.base]
    path = args["model"][0]
    model = base if path == base.path else base.trained(path)
    suites = params.evaluate.suites
    harness = sorted(name for name, suite in suites.items() if isinstance(suite, HarnessSuite))
    rows = [_uncounted(arm, f"{name}: the harness's requests are not counted") for name in harness]
    files = [path for path in (getattr(suite, "path", None) for suite in suites.values()) if path]
    if not files:
        return rows
    if not all(map(known, files)):
        return [_uncounted(arm, "as many rows as the suites have, which are yet to be built"), *rows]
    asked = evaluate.questions(params.evaluate)
    counted = [_count(arm, model, "evaluate", evaluate.requests(asked, params.evaluate.sampling), known)]
    for judge in sorted({suite.judge for _, suite, _ in asked.values() if suite.kind == "judge"}):
        prompts = [
            sum(text_tokens(text) for _, text in item.messages)
            + text_tokens(Path(suite.rubric).read_text(encoding="utf-8"))
            + (suite.max_tokens or params.evaluate.sampling.max_tokens)
            + TEMPLATE_TOKENS
            for _, suite, item in asked.values()
            if suite.kind == "judge" and suite.judge == judge
        ]
        counted.append(_upper(judge, params.models[judge], "evaluate", len(prompts), 1, max(prompts)))
    return counted + rows


def _uncounted(arm: str, why: str) -> Rows:
    return Rows(arm, None, 0, None, 0, None, 0.0, True, why)


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
    asked = prompt_tokens = output_tokens = 0
    for request in requests:
        asked += 1
        prompt_tokens += estimated_prompt(request)
        output_tokens += request.sampling.max_tokens
    bound = Pending(asked, 0, prompt_tokens, output_tokens, *_measured(name, model, step))
    return _rows(name, model, bound, estimate=True)


def _upper(name: str, model: Model, step: str, rows: int, longest: int, prompt: int | None = None) -> Rows:
    """`rows` of at most `longest` output tokens each and about `prompt` prompt tokens, where these can be bounded."""
    bound = Pending(rows, 0, rows * (prompt or 0), rows * longest, *_measured(name, model, step))
    found = _rows(name, model, bound, estimate=True)
    return found if prompt is not None else found._replace(prompt_tokens=None)


def _measured(name: str, model: Model, step: str) -> tuple[float | None, float | None]:
    """Rows per second and the mean of output tokens of the model in this step, where they are known."""
    try:
        found = pending(name, model, [], step=step)
        return found.rows_per_s, found.mean_output_tokens
    except UserError:  # no such model yet
        return model.rates.rows_per_s, None


def _rows(name: str, model: Model, found: Pending, estimate: bool) -> Rows:
    money = model.rates.cost(found.prompt_tokens, found.max_output_tokens)
    hours = found.asked / found.rows_per_s / 3600 if found.rows_per_s else None if found.asked else 0.0
    counts = (found.asked, found.reused, found.prompt_tokens, found.max_output_tokens)
    likely = None if found.mean_output_tokens is None else round(found.asked * found.mean_output_tokens)
    likely = 0 if not found.asked else likely if likely is None else min(likely, found.max_output_tokens)
    return Rows(name, *counts, hours, money, estimate, currency=model.rates.currency, likely_output_tokens=likely)
