"""evaluate: one model answers every suite, and its answers are graded."""

import polars as pl

from holdfast.common.files import write_json, write_jsonl, write_table
from holdfast.common.processes import in_own_process
from holdfast.common.section import read
from holdfast.common.step import arguments, run
from holdfast.common.tables import EVALUATIONS
from holdfast.inference.answer_text import renderer_of, without_template_text
from holdfast.inference.arm_models import read_arm_model
from holdfast.steps.evaluate.answers import judge_answers
from holdfast.steps.evaluate.asking import ask_items
from holdfast.steps.evaluate.grading import graded, summarise
from holdfast.steps.evaluate.harness import run_harness
from holdfast.steps.evaluate.params import Evaluate, HarnessSuite
from holdfast.steps.evaluate.requests import questions


def main() -> None:
    """Answer and grade every suite with one model."""
    args = arguments(__doc__, "arm", "model", "table", "metrics", "samples")
    model = read_arm_model(args.params, args.model)
    evaluate = read(args.params, "evaluate", Evaluate)
    asked = questions(evaluate)
    tables = []
    if asked:
        replies = ask_items(args.arm, model, evaluate, asked)
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
