"""Answers of one model to the rows of a step, each request sent once: `ask` for steps, `pending` for `holdfast plan`.

An answer is taken from the journal if the same request was ever answered; else from an earlier version of the step's
output in DVC's cache (pulled from a colleague, for example); only the other requests are sent to the engine.
"""

import time
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain
from typing import NamedTuple

import polars as pl

from holdfast.common.processes import stopping_cleanly
from holdfast.common.progress import Progress
from holdfast.common.wording import counted
from holdfast.inference import engines
from holdfast.inference.answer_text import opens_answers
from holdfast.inference.failures import Failures, evidence
from holdfast.inference.fingerprint import about, fingerprint
from holdfast.inference.journal import Journal
from holdfast.inference.journal_files import ROWS
from holdfast.inference.model_files import pinned
from holdfast.inference.params import Model
from holdfast.inference.recorded import earlier_rows
from holdfast.inference.request import PERMANENT, Answer, Request, request_key
from holdfast.inference.shards import Shard, refuse_missing
from holdfast.inference.token_estimate import prompt_tokens

__all__ = ["ANSWERS", "Pending", "Request", "ask", "pending"]


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
    failures: Failures | None = None,
    shard: Shard | None = None,
    sharded: bool = False,
) -> pl.LazyFrame:
    """Answers (schema ANSWERS), one row for each request in the order given; only new requests reach the model.

    `total` is the number of requests, for progress. `output` names the table that the step is about to write, if that
    table keeps `request_key`, finish_reason, prompt_tokens, output_tokens and the text in `text_column`. `failures`
    counts the failed rows of all calls of a step; by default the step is this call. With `shard`, only the requests of
    that shard are asked and returned. With `sharded`, jobs of their own have asked all requests before.
    Raises UserError when the model cannot be used, a spending cap is reached, or more than `model.max_failed_share` of
    the step's rows fail; finished rows stay in the journal. A SIGTERM exits with 143, Ctrl-C with 130.
    """
    model = pinned(name, model)
    model_hash = fingerprint(name, model)
    journal = Journal(model_hash, about(name, model))
    total = shard.rows(total) if shard else total
    progress = Progress(f"{step} {name}", total)
    order: list[pl.DataFrame] = []
    failed: list[Answer] = []
    failures = failures or Failures(f"{step} {name}", total, model.max_failed_share)
    opened = cache(lambda: opens_answers(name, model))  # loads the tokenizer, which few requests need

    def key_of(request: Request) -> bytes:
        read = bool(request.logprobs_of and request.messages)
        return request_key(model_hash, request, read and opened())

    keyed = ((key_of(request), request) for request in requests)
    if shard:
        keyed = ((key, request) for key, request in keyed if shard.has(key))
    questions = _missing(keyed, journal, order, failed, progress, output, text_column, step)
    first = next(questions, None)
    if first is not None:
        if sharded:
            refuse_missing(step, name, model)
        print(f"{step} {name}: starting {model.engine} for {model.path} …", flush=True)
        begun = time.monotonic()
        with stopping_cleanly(), journal, engines.start(name, model) as engine:
            journal.note_start(time.monotonic() - begun)
            progress.started()
            for answers in engine.answers(chain([first], questions)):
                journal.add((a for a in answers if not a.error or a.error in PERMANENT), step)
                progress.add(asked=len(answers))
                failed += (a for a in answers if a.error)
                failures.check(failed)
    progress.finished()
    journal.note_speed(step, progress.asked, progress.seconds)
    failures.add(failed)
    if failed:
        print(f"{step} {name}: {counted(len(failed), 'row')} failed ({evidence(failed)})", flush=True)
    return _assemble(pl.concat(order), journal, failed)


class Pending(NamedTuple):
    """What `ask` would do, counted without a model. Tokens are upper bounds or upper estimates."""

    asked: int
    reused: int
    prompt_tokens: int
    max_output_tokens: int


def pending(
    name: str,
    model: Model,
    requests: Iterable[Request],
    output: str | None = None,
    text_column: str = "text",
    shard: Shard | None = None,
) -> Pending:
    """Count what `ask` with these arguments would ask and reuse now. Starts no model, asks no hub, writes nothing."""
    model_hash = fingerprint(name, model, online=False)
    known = Journal(model_hash, write=False).keys
    earlier = earlier_rows(output, text_column) if output else None
    if earlier is not None:
        known.update(earlier.select("key").collect()["key"])
    asked = reused = tokens_in = tokens_out = 0
    for request in requests:
        key = request_key(model_hash, request)
        if shard and not shard.has(key):
            continue
        if key in known or request_key(model_hash, request, opened=True) in known:  # the tokenizer is not asked which
            reused += 1
            continue
        known.add(key)
        asked += 1
        tokens_out += request.sampling.max_tokens
        tokens_in += prompt_tokens(request)
    return Pending(asked, reused, tokens_in, tokens_out)


def _missing(
    requests: Iterable[tuple[bytes, Request]],
    journal: Journal,
    order: list[pl.DataFrame],
    failed: list[Answer],
    progress: Progress,
    output: str | None,
    text_column: str,
    step: str,
) -> Iterator[tuple[bytes, Request]]:
    """Note each request's id and key in `order`, known faults in `failed`; yield the requests without an answer."""
    known = journal.keys
    batch: list[tuple[str, bytes, int]] = []
    for key, request in requests:
        batch.append((request.id, key, request.seed))
        if len(batch) == 8192:
            order.append(pl.DataFrame(batch, schema=ORDER, orient="row"))
            batch = []
        if key not in known and output:  # the first request without an answer
            _adopt_earlier(journal, output, text_column, step)
            output = None
        if key in known:
            progress.add(reused=1)
            if fault := journal.failed.pop(key, None):
                failed.append(fault)
        else:
            known.add(key)
            yield key, request
    order.append(pl.DataFrame(batch, schema=ORDER, orient="row"))


def _adopt_earlier(journal: Journal, output: str, text_column: str, step: str) -> None:
    earlier = earlier_rows(output, text_column)
    if earlier is None:
        return
    rows = earlier.collect().unique("key", keep="first", maintain_order=True)
    added = journal.adopt(pl.concat([pl.DataFrame(schema=ROWS), rows.with_columns(step=pl.lit(step))], how="diagonal"))
    print(
        f"{step}: {counted(added, 'answer')} taken from the version of {output} in DVC's cache"
        if added
        else f"{step}: asking for answers that are missing …",
        flush=True,
    )


def _assemble(order: pl.DataFrame, journal: Journal, failed: list[Answer]) -> pl.LazyFrame:
    faults = pl.DataFrame(
        [(a.key, a.error, a.detail, a.prompt_tokens) for a in failed],
        schema={"key": pl.Binary, "error": pl.String, "detail": pl.String, "failed_prompt_tokens": pl.Int64},
        orient="row",
    )
    rows = journal.rows().drop("seed", "error", "detail", "step")
    joined = (
        order.lazy()
        .join(rows, on="key", how="left", maintain_order="left")
        .join(faults.lazy(), on="key", how="left", maintain_order="left")
    )
    return joined.with_columns(
        pl.col("finish_reason").fill_null("error"),
        pl.col("prompt_tokens").fill_null(pl.col("failed_prompt_tokens")),
        pl.col("output_tokens").fill_null(0),
        pl.col("key").bin.encode("hex").alias("request_key"),
    ).select(list(ANSWERS))
