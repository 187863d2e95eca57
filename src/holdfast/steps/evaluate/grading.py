"""Graded answers as the evaluation table, and its summary."""

from typing import Any

import polars as pl

from holdfast.common.tables import EVALUATIONS
from holdfast.steps.evaluate.params import JudgeSuite
from holdfast.steps.evaluate.requests import Questions
from holdfast.steps.evaluate.suites import as_text, chosen_answer, grade, question


def graded(asked: Questions, replies: pl.DataFrame, verdicts: dict[str, float | None]) -> pl.DataFrame:
    """The answers that `ask` returned as EVALUATIONS. `verdicts`: judges' scores, 1 to 5, by request id.

    Where the request failed or the judge gave no score, `score` and `correct` are null.
    """
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
                answer = chosen_answer(item, reply["logprobs"], answer)
            correct = grade(suite.kind, item, answer)
            score = float(correct)
        rows.append(
            {
                "suite": name,
                "task": item.task,
                "item_id": item.item_id,
                "cluster": item.cluster,
                "prompt": as_text(question(item)),
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
