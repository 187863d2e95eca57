"""evaluate: one model answers every suite, and its answers are graded."""

from pathlib import Path

import polars as pl

from holdfast.common.errors import UserError
from holdfast.common.files import write_json, write_jsonl, write_table
from holdfast.common.processes import in_own_process
from holdfast.common.section import read, value
from holdfast.common.step import arguments, run
from holdfast.common.tables import EVALUATIONS
from holdfast.inference.answer_text import renderer_of, without_template_text
from holdfast.inference.fingerprint import read_model
from holdfast.inference.model_files import pinned
from holdfast.steps.evaluate.answers import answer_all, judge_answers
from holdfast.steps.evaluate.grading import graded, summarise
from holdfast.steps.evaluate.harness import run_harness
from holdfast.steps.evaluate.params import Evaluate, HarnessSuite, ItemSuite
from holdfast.steps.evaluate.requests import questions, requests


def main() -> None:
    """Answer and grade every suite with one model."""
    args = arguments(__doc__, "arm", "model", "table", "metrics", "samples")
    base = value(args.params, "base")
    model = read_model(args.params, base)
    if args.model == model.path:
        model = pinned(base, model)
    else:  # a trained arm runs under the base model's settings
        if not (Path(args.model) / "config.json").exists():
            raise UserError(
                f"{args.model}: is not a complete model (it has no config.json);"
                " an adapter must be merged (train.merge: true)"
            )
        model = model.trained(args.model)
    evaluate = read(args.params, "evaluate", Evaluate)
    asked = questions(evaluate)
    tables = []
    if asked:
        prompts = list(requests(asked, evaluate.sampling))
        if all(isinstance(suite, ItemSuite) for suite in evaluate.suites.values()):  # no other model needs the memory
            replies = answer_all(args.arm, model, prompts)
        else:
            replies = in_own_process(f"arm {args.arm}", answer_all, args.arm, model, prompts)
        alone = replies.lazy().with_columns(rendering=pl.lit(None, pl.String))
        replies = without_template_text(alone, renderer_of(args.arm, model), [None]).collect()
        tables.append(graded(asked, replies, judge_answers(asked, replies, args.params)))
    samples = []
    for name, suite in sorted(evaluate.suites.items()):
        if isinstance(suite, HarnessSuite):
            scored, log = in_own_process(f"evaluate.suites.{name}", run_harness, args.arm, model, name, suite)
            tables.append(scored)
            samples += log
    table = pl.concat(tables).sort("suite", "task", "item_id")
    write_jsonl(samples, args.samples, sort_keys=True, default=str, ensure_ascii=True)
    write_table(table, args.table, EVALUATIONS)
    write_json(summarise(table, {name: suite.measures for name, suite in evaluate.suites.items()}), args.metrics)


if __name__ == "__main__":
    run(main)
