"""Ask a model for rows, each question once: `ask` for steps, `pending` for plans.

A row's answer comes from the journal if the same question was ever finished there; else from an earlier version of the
step's output that DVC still has (pulled from a colleague, say); only what is left goes to the engine.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

import polars as pl

from holdfast.common.errors import UserError
from holdfast.common.processes import stopping_cleanly
from holdfast.common.progress import Progress
from holdfast.inference import engines
from holdfast.inference.fingerprint import fingerprint
from holdfast.inference.journal import Journal
from holdfast.inference.journal_files import ROWS
from holdfast.inference.model_files import pinned
from holdfast.inference.params import Model
from holdfast.inference.recorded import earlier_rows
from holdfast.inference.request import PERMANENT, Answer, Request, request_key

__all__ = ["ANSWERS", "Pending", "Request", "about_tokens", "ask", "pending"]


ANSWERS: dict[str, pl.DataType | type[pl.DataType]] = {
    "id": pl.String,
    "text": pl.String,
    "finish_reason": pl.String,  # stop | length | error
    "prompt_tokens": pl.Int64,
    "output_tokens": pl.Int64,
    "seed": pl.Int64,
    "time_s": pl.Float64,
    "logprobs": pl.List(
        pl.Float64
    ),  # aligned with logprobs_of, of the first generated token, before temperature and top-p
    "error": pl.String,  # null when fine, else the reason: prompt_too_long, refused, unreachable, …
    "detail": pl.String,
    "request_key": pl.String,  # hex; kept in a step's table it lets a colleague's pulled copy fill an empty journal
}


ORDER = {"id": pl.String, "key": pl.Binary, "seed": pl.Int64}


def ask(
    name: str,
    model: Model,
    requests: Iterable[Request],
    total: int,
    *,
    step: str,
    output: str | None = None,
    text_column: str = "text",
) -> pl.LazyFrame:
    """Answers (schema ANSWERS), one row per request in the order asked; only unknown questions reach the model.

    `total` is the number of requests, for progress. `output` names the table that the step is about to write, if that
    table keeps `request_key`, finish_reason, prompt_tokens, output_tokens and the text in `text_column`.
    Raises UserError when the model cannot be used, a spending cap is reached, or more than `model.max_failed_share` of
    all rows fail for good; finished rows stay in the journal. A SIGTERM exits with 143, Ctrl-C with 130.
    """
    model = pinned(name, model)
    model_hash = fingerprint(name, model)
    identity = model.model_dump(include={"path", "revision", "engine", "engine_args", "url"})
    journal = Journal(model_hash, {"name": name} | identity)
    progress = Progress(f"{step} {name}", total)
    order: list[pl.DataFrame] = []
    failures: list[Answer] = []
    questions = _missing(requests, model_hash, journal, order, failures, progress, output, text_column, step)
    first = next(questions, None)
    if first is not None:
        print(f"{step} {name}: starting {model.engine} for {model.path}", flush=True)
        with stopping_cleanly(), journal, engines.start(name, model) as engine:
            progress.started()
            for answers in engine.answers(chain([first], questions)):
                journal.add((a for a in answers if not a.error or a.error in PERMANENT), step)
                progress.add(asked=len(answers))
                failures += (a for a in answers if a.error)
                _check_failures(f"{step} {name}", failures, total, model.max_failed_share)
    progress.finished()
    journal.note_speed(step, progress.asked, progress.seconds)
    _check_failures(f"{step} {name}", failures, total, model.max_failed_share)
    if failures:
        print(f"{step} {name}: {len(failures)} rows failed for good ({_evidence(failures)})", flush=True)
    return _assemble(pl.concat(order), journal, failures)


class Pending(NamedTuple):
    """What asking would mean, counted without a model. Tokens are upper bounds or estimates (4 characters a token).

    `rows_per_s` is the model's `rates.rows_per_s`, else what this step measured last, else None.
    """

    asked: int
    reused: int
    prompt_tokens: int
    max_output_tokens: int
    rows_per_s: float | None


def pending(
    name: str,
    model: Model,
    requests: Iterable[Request],
    output: str | None = None,
    text_column: str = "text",
    step: str = "",
) -> Pending:
    """Count what `ask` with these arguments would ask and reuse now. Starts no model, asks no hub, writes nothing."""
    model_hash = fingerprint(name, model, online=False)
    journal = Journal(model_hash, write=False)
    known = journal.keys
    earlier = earlier_rows(output, text_column) if output else None
    if earlier is not None:
        known.update(earlier.select("key").collect()["key"])
    asked = reused = prompt_tokens = output_tokens = 0
    for request in requests:
        key = request_key(model_hash, request)
        if key in known:
            reused += 1
            continue
        known.add(key)
        asked += 1
        output_tokens += request.sampling.max_tokens
        prompt_tokens += about_tokens(request)
    return Pending(asked, reused, prompt_tokens, output_tokens, model.rates.rows_per_s or journal.speed(step))


def about_tokens(request: Request) -> int:
    """Tokens of the prompt: exact for ids, else estimated, four characters a token."""
    if request.prompt_ids is not None:
        return len(request.prompt_ids)
    texts = [request.rendering or "", *(content for _, content in request.messages or ())]
    return sum(map(len, texts)) // 4 + 1


def _missing(
    requests: Iterable[Request],
    model_hash: str,
    journal: Journal,
    order: list[pl.DataFrame],
    failures: list[Answer],
    progress: Progress,
    output: str | None,
    text_column: str,
    step: str,
) -> Iterator[tuple[bytes, Request]]:
    """Note every request's id and key in `order`, known faults in `failures`; yield those that nobody asked yet."""
    known = journal.keys
    batch: list[tuple[str, bytes, int]] = []
    for request in requests:
        key = request_key(model_hash, request)
        batch.append((request.id, key, request.seed))
        if len(batch) == 8192:
            order.append(pl.DataFrame(batch, schema=ORDER, orient="row"))
            batch = []
        if key not in known and output:  # the first gap: is there an earlier version to fill it from?
            _reseed(journal, output, text_column, step)
            output = None
        if key in known:
            progress.add(reused=1)
            if fault := journal.failed.pop(key, None):
                failures.append(fault)
        else:
            known.add(key)
            yield key, request
    order.append(pl.DataFrame(batch, schema=ORDER, orient="row"))


def _reseed(journal: Journal, output: str, text_column: str, step: str) -> None:
    earlier = earlier_rows(output, text_column)
    if earlier is None:
        return
    rows = earlier.collect().unique("key", keep="first", maintain_order=True)
    added = journal.adopt(pl.concat([pl.DataFrame(schema=ROWS), rows.with_columns(step=pl.lit(step))], how="diagonal"))
    print(f"{step}: {added} answers taken from the version of {output} that DVC has", flush=True)


def _assemble(order: pl.DataFrame, journal: Journal, failures: list[Answer]) -> pl.LazyFrame:
    failed = pl.DataFrame(
        [(a.key, a.error, a.detail, a.prompt_tokens) for a in failures],
        schema={"key": pl.Binary, "error": pl.String, "detail": pl.String, "failed_prompt_tokens": pl.Int64},
        orient="row",
    )
    rows = journal.rows().drop("seed", "error", "detail", "step")
    joined = (
        order.lazy()
        .join(rows, on="key", how="left", maintain_order="left")
        .join(failed.lazy(), on="key", how="left", maintain_order="left")
    )
    return joined.with_columns(
        pl.col("finish_reason").fill_null("error"),
        pl.col("prompt_tokens").fill_null(pl.col("failed_prompt_tokens")),
        pl.col("output_tokens").fill_null(0),
        pl.col("key").bin.encode("hex").alias("request_key"),
    ).select(list(ANSWERS))


def _check_failures(what: str, failures: list[Answer], total: int, allowed_share: float) -> None:
    if len(failures) > allowed_share * total:
        raise UserError(
            f"{what}: {len(failures)} of {total} rows failed, more than max_failed_share ({allowed_share:g}) allows: "
            f"{_evidence(failures)}. Finished rows are kept: repair and run again"
        )


def _evidence(failures: list[Answer]) -> str:
    """Reasons, how often, and one example of each."""
    counts = Counter(a.error for a in failures)
    examples = {a.error: a.detail for a in reversed(failures)}
    return "; ".join(f"{n} x {reason}, such as: {examples[reason]}" for reason, n in counts.most_common(5))
