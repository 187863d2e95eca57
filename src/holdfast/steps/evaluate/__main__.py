"""evaluate: one model answers every suite, and its answers are graded."""

import json
from pathlib import Path

import polars as pl

from holdfast.common.errors import UserError
from holdfast.common.files import replacing, write_json, write_table
from holdfast.common.processes import in_own_process
from holdfast.common.section import read, value
from holdfast.common.step import arguments, run
from holdfast.common.tables import EVALUATIONS
from holdfast.inference.ask import Request, ask
from holdfast.inference.fingerprint import read_model
from holdfast.inference.params import Model
from holdfast.steps.evaluate.grading import graded, summarise
from holdfast.steps.evaluate.harness import run_harness
from holdfast.steps.evaluate.params import Evaluate, HarnessSuite, JudgeSuite
from holdfast.steps.evaluate.requests import Questions, judge_requests, questions, requests
from holdfast.steps.evaluate.suites import expected_score


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
        found = in_own_process(f"judge {judge}", answered, judge, model, prompts)
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
        replies = in_own_process(f"arm {args.arm}", answered, args.arm, model, list(requests(asked, evaluate.sampling)))
        tables.append(graded(asked, replies, judged(asked, replies, args.params)))
    samples = []
    for name, suite in sorted(evaluate.suites.items()):
        if isinstance(suite, HarnessSuite):
            scored, log = in_own_process(f"evaluate.suites.{name}", run_harness, model, name, suite)
            tables.append(scored)
            samples += log
    table = pl.concat(tables).sort("suite", "task", "item_id")
    with replacing(args.samples) as aside:
        aside.write_text("".join(json.dumps(sample, sort_keys=True, default=str) + "\n" for sample in samples))
    write_table(table, args.table, EVALUATIONS)
    write_json(summarise(table, {name: suite.measures for name, suite in evaluate.suites.items()}), args.metrics)


if __name__ == "__main__":
    run(main)
