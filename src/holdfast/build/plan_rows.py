"""How many rows a stale job would ask of a model and how many it would reuse, without starting one.

If all inputs of a job are up to date, its own `requests` are compared with the journal, exactly. If an upstream stage
has yet to run, rows are estimated from the tables that are there, and bounded by params.yaml.
"""

import shlex
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from holdfast.build.plan_evaluations import evaluations
from holdfast.build.plan_figures import Counted, Rows, count, figures
from holdfast.build.plan_forecast import Forecast, forecast
from holdfast.build.plan_outlook import TEMPLATE_TOKENS, Arguments, Outlook, shard_of
from holdfast.common.files import scan_table
from holdfast.common.pilot import built_or_piloted
from holdfast.common.tables import GENERATIONS, INSTRUCTIONS, PROMPTS, SCORES, SELECTED
from holdfast.inference.ask import Request
from holdfast.inference.params import Model
from holdfast.inference.shards import Shard
from holdfast.inference.token_estimate import text_tokens
from holdfast.params.schema import Params
from holdfast.steps.generate import candidates as generate
from holdfast.steps.probe import requests as probe
from holdfast.steps.reconstruct import samples as reconstruct
from holdfast.steps.score import requests as score
from holdfast.steps.seed import files as seeds


def rows_of(shell: str, outlook: Outlook) -> list[Rows]:
    """The rows of the job with this shell command; none if it asks no model."""
    words = shlex.split(shell)
    command = words[words.index("--") + 1 :]
    steps = {
        "reconstruct": _reconstruct,
        "clean": _clean,
        "generate": _generate,
        "score": _score,
        "evaluate": evaluations,
        "probe": _probe,
    }
    module = command[command.index("-m") + 1] if "-m" in command else ""
    step = steps.get(module.removeprefix("holdfast.steps.").removesuffix(".shard"))
    return list(step(_arguments(command), outlook)) if step else []


def _probe(args: Arguments, outlook: Outlook) -> Iterator[Rows]:
    arm, model = args["arm"][0], outlook.model_of_arm(args)
    there = built_or_piloted(args["selected"][0])
    if there is None:
        yield Rows(arm, None, uncounted="one row for each selected answer, which are yet to be chosen")
        return
    found = count(arm, model, probe.requests(scan_table(there, SELECTED)), outlook.there(model))
    exact = outlook.known(args["selected"][0])
    yield figures(arm, model, "probe", found.asked, found.reused, found, exact=exact)


def _arguments(command: list[str]) -> Arguments:
    found: Arguments = {}
    for word in command:
        if word.startswith("--"):
            found[name := word[2:]] = []
        elif found:
            found[name].append(word)
    return found


def _part(args: Arguments, model: Model, *numbers: float) -> list[float]:
    """A job's part of a step's rows: a shard's; none are left to ask for the job that puts shards together."""
    shard = shard_of(args)
    if shard:
        return [number / shard.of for number in numbers]
    asked, *others = numbers
    return [0.0, asked + others[0]] if model.shards > 1 else list(numbers)


def _reconstruct(args: Arguments, outlook: Outlook) -> Iterator[Rows]:
    params = outlook.params
    settings, model, name = params.reconstruct, params.models[params.base].without_template(), params.base
    samples, longest = params.seed.samples, settings.sampling.max_tokens
    prompts, found, merging = args["prompts"][0], Counted(0, 0, 0, 0), "shard" not in args and model.shards > 1
    if there := built_or_piloted(prompts):
        table = scan_table(there, PROMPTS).sort("prompt_id").collect()
        requests = reconstruct.requests(table, settings.sampling, params.random_seed)
        output = (args.get("samples") or args["earlier"])[0]
        found = count(name, model, requests, outlook.there(model), output, shard=shard_of(args))
    if outlook.known(prompts):
        asked, reused = float(found.asked), float(found.reused)
        if merging:
            asked, reused = 0.0, asked + reused
        yield figures(name, model, "reconstruct", asked, reused, found._replace(asked=round(asked)))
    else:  # as with the prompts that are there
        part = samples / (shard_of(args) or Shard(1, 1)).of
        scale = min(1.0, part / max(found.asked + found.reused, 1))
        asked = found.asked * scale + max(part - found.asked - found.reused, 0.0)
        reused = found.reused * scale
        if merging:
            asked, reused = 0.0, asked + reused
        most = Counted(round(part), 0, round(part * TEMPLATE_TOKENS), round(part * longest))
        basis = ("reconstruct: as with the present prompts",) if found.asked + found.reused else ()
        yield figures(name, model, "reconstruct", asked, reused, most, exact=not basis and not found.asked, basis=basis)
    if not merging:
        outlook.drawn = (outlook.drawn or 0.0) + asked + reused
        outlook.stay += reused
        if (turns := settings.multi_turn).share > 0:  # an answer and a user's turn for each turn after the first
            most_rows = round(asked * turns.share * 2 * (turns.max_turns - 1))
            most = Counted(most_rows, 0, 0, most_rows * max(longest, turns.answer.max_tokens))
            basis = ("further turns: as if all conversations could be extended",)
            yield figures(name, model, "reconstruct", most_rows / 2 + asked * turns.share, 0, most, False, basis)


def _clean(args: Arguments, outlook: Outlook) -> Iterator[Rows]:
    """Asks no model; tells how many instructions there will be."""
    samples, instructions = (built_or_piloted(args[name][0]) for name in ("samples", "instructions"))
    before = pl.scan_parquet(samples).select(pl.len()).collect().item() if samples else 0
    counts = scan_table(instructions, INSTRUCTIONS).select("count").collect()["count"] if instructions else None
    draws = before if outlook.drawn is None else round(outlook.drawn)
    stay = before if outlook.drawn is None else round(outlook.stay)
    outlook.instructions = forecast(counts, before, draws or outlook.params.seed.samples, stay)
    return iter(())


def _expected(path: str, outlook: Outlook) -> Forecast:
    """Instructions that there will be."""
    if outlook.known(path):
        number = scan_table(path, INSTRUCTIONS).select(pl.len()).collect().item()
        return Forecast(number, number, "")
    return outlook.instructions or forecast(None, 0, outlook.params.seed.samples, 0)


def _instruction_tokens(params: Params) -> int:
    """The longest conversation that may be reconstructed: a system prompt, the user's turns, the answers in between."""
    named = {params.seed.system_prompts, *(part.system_prompts for part in params.seed.slices.values())}
    paths = [path for path in named if path is not None and Path(path).exists()]
    system = max((text_tokens(text or "") for path in paths for text in seeds.system_prompts(path)), default=0)
    turns = params.reconstruct.multi_turn
    further = (turns.max_turns - 1) * (turns.answer.max_tokens + params.reconstruct.sampling.max_tokens)
    return system + params.reconstruct.sampling.max_tokens + (further if turns.share > 0 else 0) + TEMPLATE_TOKENS


def _generate(args: Arguments, outlook: Outlook) -> Iterator[Rows]:
    params, name = outlook.params, args["model"][0]
    model, each = params.models[name], params.generate.samples
    sampling = params.generate.models[name].over(params.generate.sampling)
    path, output = args["instructions"][0], (args.get("generations") or args["earlier"])[0]
    found = Counted(0, 0, 0, 0)
    if there := built_or_piloted(path):
        requests = generate.requests(scan_table(there, INSTRUCTIONS), name, each, sampling, params.random_seed)
        shard = shard_of(args) if outlook.known(path) else None
        found = count(name, model, requests, outlook.there(model), output, "response", shard)
    answered = found.reused / max(found.asked + found.reused, 1)
    outlook.reuse.setdefault(name, answered)
    if outlook.known(path):
        asked, reused = float(found.asked), float(found.reused)
        if "shard" not in args and model.shards > 1:
            asked, reused = 0.0, asked + reused
        yield figures(name, model, "generate", asked, reused, found._replace(asked=round(asked)))
        return
    expected = _expected(path, outlook)
    reused = expected.known * each * answered
    asked = expected.instructions * each - reused
    rows = _most_instructions(outlook) * each
    asked, reused, most_rows = (*_part(args, model, asked, reused), rows / (shard_of(args) or Shard(1, 1)).of)
    most_rows = 0 if "shard" not in args and model.shards > 1 else round(most_rows)
    most = Counted(most_rows, 0, most_rows * _instruction_tokens(params), most_rows * sampling.max_tokens)
    yield figures(name, model, "generate", asked, reused, most, False, (expected.basis,))


def _most_instructions(outlook: Outlook) -> float:
    return outlook.params.seed.samples if outlook.drawn is None else max(outlook.drawn, outlook.params.seed.samples)


def _score(args: Arguments, outlook: Outlook) -> Iterator[Rows]:
    params, name = outlook.params, args["judge"][0]
    model, sampling = params.models[name], params.score.judges[name].sampling.over(params.score.sampling)
    longest = 1 if params.score.method == "expected" else sampling.max_tokens
    attempts = score.most_attempts(params.score, sampling)
    path, output = args["instructions"][0], (args.get("scores") or args["earlier"])[0]
    rubric = Path(args["rubric"][0]).read_text(encoding="utf-8") if Path(args["rubric"][0]).exists() else ""
    instructions = built_or_piloted(path)
    there = [at for table in args["generations"] if (at := built_or_piloted(table))] if instructions else []
    exact = outlook.known(path) and all(map(outlook.known, args["generations"]))
    found, counts, answered_ones = Counted(0, 0, 0, 0), None, 1
    merging = "shard" not in args and model.shards > 1
    if there and instructions:
        generations = pl.concat([scan_table(table, GENERATIONS) for table in there])
        candidates = score.questions(generations)
        left = candidates.filter(pl.col("candidate_id") == pl.col("asked_id"))
        counts, answered_ones = candidates["asked_id"].value_counts()["count"], candidates["instruction_id"].n_unique()
        requests: Iterator[Request] = score.requests(
            scan_table(instructions, INSTRUCTIONS),
            generations,
            left,
            rubric,
            params.score,
            sampling,
            params.random_seed,
        )
        found = count(name, model, requests, outlook.there(model), output, "raw", shard_of(args) if exact else None)
    tries = _tries(output) if attempts > 1 else 1.0
    answered = found.reused / max(found.asked + found.reused, 1)
    basis: tuple[str, ...] = ()
    if exact:
        asked, reused, prompt = float(found.asked), float(found.reused), found.prompt_tokens / max(found.asked, 1)
        most_rows = 0 if merging else found.asked
        if merging:
            asked, reused = 0.0, asked + reused
    else:
        expected = _expected(path, outlook)
        models = [Path(table).stem for table in args["generations"]]
        draws = params.generate.samples * len(models) * answered_ones
        stay = sum(outlook.reuse.get(one, 1.0) for one in models) / len(models) * draws
        texts = forecast(counts, int(counts.sum()), draws, round(stay)) if counts is not None else None
        each = texts.instructions / answered_ones if texts else params.generate.samples * len(models)
        again = texts.known / answered_ones * answered if texts else 0.0
        reused = expected.known * again
        asked = expected.instructions * each - reused
        asked, reused = _part(args, model, asked, reused)
        basis = (expected.basis,) if expected.basis else ()
        most_rows = round(_most_instructions(outlook) * params.generate.samples * len(models))
        most_rows = 0 if merging else round(most_rows / (shard_of(args) or Shard(1, 1)).of)
        answer = max(own.over(params.generate.sampling).max_tokens for own in params.generate.models.values())
        prompt = _instruction_tokens(params) + answer + text_tokens(rubric) + TEMPLATE_TOKENS
    most_rows *= attempts
    most = Counted(most_rows, 0, round(most_rows * prompt), most_rows * longest)
    yield figures(name, model, "score", asked * tries, reused, most, exact and attempts == 1, basis)


def _tries(scores: str) -> float:
    """How often an answer was judged until a score could be read, in the table that is there; 1 without one."""
    there = built_or_piloted(scores)
    if there is None:
        return 1.0
    found: float | None = scan_table(there, SCORES).select(pl.mean("attempts")).collect().item()
    return found or 1.0
