"""Evaluate: what does a model get right? The base model (arm `base`) and every arm answer the same suites, greedily.

A grade that could not be given (the request failed, the judge named no score) is null, never a number, and is counted.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from holdfast.apart import apart
from holdfast.errors import UserError
from holdfast.files import replacing, write_json, write_table
from holdfast.fingerprint import read_model
from holdfast.harness import run_harness
from holdfast.inference import Request, ask
from holdfast.judge_prompt import judge_messages
from holdfast.params.evaluate import Evaluate, HarnessSuite, ItemSuite, JudgeSuite
from holdfast.params.models import Model, Sampling
from holdfast.params.section import read, value
from holdfast.step import arguments, run
from holdfast.suites import LETTERS, Item, chosen, expected_score, grade, load_items, question, shown
from holdfast.tables import EVALUATIONS, row_id

DIGITS = ("1", "2", "3", "4", "5")
SEED = 0  # greedy by default; with a temperature every model draws from the same seed

Questions = dict[str, tuple[str, ItemSuite | JudgeSuite, Item]]


def questions(evaluate: Evaluate) -> Questions:
    """Every item of the user's own suites: suite, its parameters and the item, by request id."""
    return {
        row_id("evaluate", name, item.item_id): (name, suite, item)
        for name, suite in sorted(evaluate.suites.items())
        if not isinstance(suite, HarnessSuite)
        for item in load_items(suite.path, name, suite.kind)
    }


def requests(asked: Questions, sampling: Sampling) -> Iterator[Request]:
    """One request for each question; multiple choice asks for the log-probabilities of the letters."""
    for request_id, (_, suite, item) in asked.items():
        bound = 1 if suite.kind == "multiple_choice" else suite.max_tokens or sampling.max_tokens
        yield Request(
            id=request_id,
            prompt_ids=None,
            messages=question(item),
            seed=SEED,
            sampling=sampling.model_copy(update={"max_tokens": bound}),
            stop_ids=(),
            logprobs_of=tuple(LETTERS[: len(item.choices)]),
        )


def judge_requests(asked: Questions, answers: dict[str, str], judge: str, rubrics: dict[str, str]) -> Iterator[Request]:
    """One request to `judge` for each answer to the suites that it grades. `rubrics`: text by suite."""
    for request_id, (name, suite, item) in asked.items():
        if isinstance(suite, JudgeSuite) and suite.judge == judge and request_id in answers:
            system = next((content for role, content in item.messages if role == "system"), None)
            earlier = [turn for turn in item.messages[:-1] if turn[0] != "system"]
            prompt = judge_messages(
                rubrics[name], system, item.messages[-1][1], answers[request_id], reading="expected", earlier=earlier
            )
            yield Request(
                id=request_id,
                prompt_ids=None,
                messages=tuple((turn["role"], turn["content"]) for turn in prompt),
                seed=SEED,
                sampling=Sampling(temperature=0.0, max_tokens=1),
                stop_ids=(),
                logprobs_of=DIGITS,
            )


def graded(asked: Questions, replies: pl.DataFrame, verdicts: dict[str, float | None]) -> pl.DataFrame:
    """The evaluation table (EVALUATIONS) of what `ask` returned. `verdicts`: judges' scores, 1 to 5, by request id."""
    rows: list[dict[str, Any]] = []
    for reply in replies.iter_rows(named=True):
        name, suite, item = asked[reply["id"]]
        answer, score, correct = reply["text"] or "", None, None
        ended = reply["finish_reason"] if suite.kind != "multiple_choice" else "stop"
        if reply["error"] is not None:
            answer, ended = reply["error"], "error"
        elif isinstance(suite, JudgeSuite):
            if (verdict := verdicts.get(reply["id"])) is not None:
                score, correct = (verdict - 1) / 4, verdict >= suite.pass_score
        else:
            if suite.kind == "multiple_choice":
                answer = chosen(item, reply["logprobs"], answer)
            correct = grade(suite.kind, item, answer)
            score = float(correct)
        rows.append(
            {
                "suite": name,
                "task": item.task,
                "item_id": item.item_id,
                "prompt": shown(question(item)),
                "expected": " | ".join(item.answers),
                "answer": answer,
                "score": score,
                "correct": correct,
                "finish_reason": ended,
            }
        )
    return pl.DataFrame(rows, schema=EVALUATIONS)


def summarise(table: pl.DataFrame, measures: dict[str, str]) -> dict[str, Any]:
    """Accuracy and counts per ability (`measures`, by suite), suite and task, as in `metrics/{arm}.json`."""

    def figures(part: pl.DataFrame) -> dict[str, Any]:
        marked = part["correct"].drop_nulls()
        return {
            "accuracy": marked.mean(),
            "n": len(marked),
            "ungraded": len(part) - len(marked),
            "truncated": int((part["finish_reason"] == "length").sum()),
        }

    abilities = table.with_columns(ability=pl.col("suite").replace_strict(measures, return_dtype=pl.String))
    return {
        **{str(key[0]): figures(part) for key, part in abilities.group_by(["ability"])},
        "suites": {
            str(key[0]): figures(part)
            | {"tasks": {str(task[0]): figures(rows) for task, rows in part.group_by(["task"])}}
            for key, part in table.group_by(["suite"])
        },
    }


def answered(name: str, model: Model, prompts: list[Request]) -> pl.DataFrame:
    """What `ask` returns, whole."""
    return ask(name, model, prompts, len(prompts), step="evaluate").collect()


def judged(asked: Questions, replies: pl.DataFrame, declared: str) -> dict[str, float | None]:
    """The scores that each suite's judge gives, 1 to 5, by request id; None where it names none."""
    suites = {name: suite for name, suite, _ in asked.values() if isinstance(suite, JudgeSuite)}
    answers = dict(replies.filter(pl.col("error").is_null()).select("id", "text").iter_rows())
    rubrics = {}
    for name, suite in suites.items():
        try:
            rubrics[name] = Path(suite.rubric).read_text(encoding="utf-8")
        except OSError as error:
            raise UserError(
                f"{suite.rubric}: {error.strerror}; evaluate.suites.{name}.rubric must name a text file"
            ) from error
    scores: dict[str, float | None] = {}
    for judge in sorted({suite.judge for suite in suites.values()}):
        prompts = list(judge_requests(asked, answers, judge, rubrics))
        model = read_model(declared, judge)
        found = apart(f"judge {judge}", answered, judge, model, prompts)
        for reply in found.iter_rows(named=True):
            scores[reply["id"]] = None if reply["error"] is not None else expected_score(reply["logprobs"])
    return scores


def main() -> None:
    """Answer and grade every suite with one model."""
    args = arguments(__doc__, "arm", "model", "table", "metrics", "samples")
    base = value(args.params, "base")
    model = read_model(args.params, base)
    if args.model != model.path:  # a trained arm runs under the base model's settings
        if not (Path(args.model) / "config.json").exists():
            raise UserError(
                f"{args.model}: not a whole model (no config.json); a LoRA adapter must be merged, train.merge: true"
            )
        model = model.model_copy(update={"path": args.model, "revision": None, "chat_template": None})  # it has its own
    evaluate = read(args.params, "evaluate", Evaluate)
    asked = questions(evaluate)
    tables = []
    if asked:
        replies = apart(f"arm {args.arm}", answered, args.arm, model, list(requests(asked, evaluate.sampling)))
        tables.append(graded(asked, replies, judged(asked, replies, args.params)))
    samples = []
    for name, suite in sorted(evaluate.suites.items()):
        if isinstance(suite, HarnessSuite):
            scored, log = apart(f"evaluate.suites.{name}", run_harness, model, name, suite)
            tables.append(scored)
            samples += log
    table = pl.concat(tables).sort("suite", "task", "item_id")
    with replacing(args.samples) as aside:
        aside.write_text("".join(json.dumps(sample, sort_keys=True, default=str) + "\n" for sample in samples))
    write_table(table, args.table, EVALUATIONS)
    write_json(summarise(table, {name: suite.measures for name, suite in evaluate.suites.items()}), args.metrics)


if __name__ == "__main__":
    run(main)
