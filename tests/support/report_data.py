"""A small build's tables, made up, for tests of the report."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from holdfast.common.ids import row_id
from holdfast.common.tables import (
    ALL_SCORES,
    EVALUATIONS,
    GENERATIONS,
    INSTRUCTIONS,
    PROMPTS,
    REJECTED_CANDIDATES,
    SAMPLES,
    SCORES,
    SELECTED,
)
from holdfast.steps.report.statistics import Floats

MODELS = ("base", "scholar")
ANSWERS = 2  # of each model

COMMITTEE = {  # metrics/filter.json
    "agreement": {"alpha_ordinal": 0.71, "pairs": [{"judges": ["base", "scholar"], "alpha_ordinal": 0.71}]},
    "models": {name: {"candidates": 120, "kept": 20 + 20 * i, "share_of_kept": 0.5} for i, name in enumerate(MODELS)},
    "judges": {
        name: {
            "scored": 238, "unparsable": 2, "error": 0, "mean": 3.2, "sd": 1.1, "constant": False,
            "severity": None if i else -0.1,
            "self_preference": None if i else {"estimate": 0.2, "low": 0.1, "high": 0.3},
        }
        for i, name in enumerate(MODELS)
    },
    "scores": {"candidates": {"1.0": 20, "1.5": 40, "3.5": 60}, "kept": {"3.5": 60}},
    "aggregations": [
        {"aggregate": "mean", "exclude_self": i, "current": not i, "kept": 9, "same_choice": 0.9,
         "kept_by_model": {"base": 9}}
        for i in (False, True)
    ],
    "disagreements": [
        {"instruction": "Why?", "response": "Because.", "model": "base", "spread": 3.5, "kept": True,
         "scores": {"base": 1.0, "scholar": 4.5}}
    ],
}  # fmt: skip
RECONSTRUCTION = {  # metrics/clean.json
    "samples": 63,
    "instructions": 60,
    "counts": {"rejected": {"truncated": 2, "empty": 1}, "distinct": 60},
    "richness": {
        "draws": 69, "coverage": 0.25, "unseen_at_least": 340.5,
        "growth": [{"draws": draws, "distinct": draws**0.95} for draws in (7, 17, 34, 52, 69, 104, 138)],
    },
    "slices": {"plain": {"samples": 63, "distinct": 60, "instructions": 60, "coverage": 0.25}},
    "tokens": {"mean": 12.5, "p50": 11.0},
    "characters": None,
    "turns": {"1": 60},
    "languages": {"en": 60},
    "nearest_neighbour_similarity": {"mean": 0.4},
    "contamination": {"instructions": 0, "suites": {}, "kinds": {}},
}  # fmt: skip


def evaluation(correct: Mapping[str, Sequence[bool | None]], cluster_size: int | None = None) -> pl.DataFrame:
    """An evaluation table with one item per mark of each suite, in tasks of 50 items, at most 40 tasks.

    With `cluster_size`, as many neighbouring items are of one cluster.
    """
    rows = [
        {
            "suite": suite,
            "task": f"{suite}_{i // max(50, len(marks) // 40)}",
            "item_id": f"{i:06d}",
            "cluster": None if cluster_size is None else f"passage {i // cluster_size}",
            "prompt": f"<b>Question</b> {i} of {suite}?",
            "expected": f"answer {i}",
            "answer": f"answer {i}" if mark else "no & idea",
            "score": None if mark is None else float(mark),
            "correct": mark,
            "finish_reason": "stop",
        }
        for suite, marks in correct.items()
        for i, mark in enumerate(marks)
    ]
    return pl.DataFrame(rows, schema=EVALUATIONS)


def _row(schema: dict[str, pl.DataType], **values: object) -> dict[str, object]:
    return dict.fromkeys(schema) | values


def write_chain(root: Path, size: int, general: int, domain: int) -> None:
    """Every table that the report reads, under `root`/data and `root`/metrics: `size` instructions, three arms."""
    prompts = [_row(PROMPTS, prompt_id="p0", kind="template", slice="plain", samples=size + 3, prefix_text="<user>")]
    instructions = [
        _row(
            INSTRUCTIONS,
            instruction_id=row_id("instruction", i),
            instruction=f"Explain thing number {i}. " + ("Long. " * 80 if i % 5 == 0 else ""),
            prompt_id="p0",
            finish_reason="stop",
            count=1 + (i % 7 == 0),
        )
        for i in range(size)
    ]
    generations, scores, all_scores, selected, rejected = [], [], [], [], []
    for instruction in instructions:
        identity = {"instruction_id": instruction["instruction_id"]}
        for model in MODELS:
            for sample in range(ANSWERS):
                candidate = identity | {"candidate_id": row_id(identity, model, sample), "model": model}
                response = f"{model} says {sample} <script>alert(1)</script>"
                generations.append(
                    _row(GENERATIONS, **candidate, sample=sample, response=response, finish_reason="stop")
                )
                score = 1.5 + sample + (model == "scholar")
                for judge in MODELS:
                    judged = {"judge": judge, "score": score, "status": "ok", "method": "expected"}
                    scores.append(_row(SCORES, **candidate | judged))
                    all_scores.append(_row(ALL_SCORES, **candidate | judged, sample=sample, own=judge == model))
                row = candidate | {"score": score, "response": response}
                if score > 3:
                    selected.append(_row(SELECTED, **row, instruction=instruction["instruction"], candidates=4))
                else:
                    rejected.append(_row(REJECTED_CANDIDATES, **row, reason="not_best", detail=f"{score} against 3.5"))

    def write(rows: list[dict[str, object]], schema: dict[str, pl.DataType], path: str) -> None:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        frame = pl.DataFrame([{k: row.get(k) for k in schema} for row in rows], schema=schema)
        frame.write_parquet(file)

    write(prompts, PROMPTS, "data/seed/prompts.parquet")
    samples = [
        _row(SAMPLES, sample_id=f"{i}", turn=1, request_key=f"{i}", prompt_tokens=4, output_tokens=6)
        for i in range(size + 3)
    ]
    write(samples, SAMPLES, "data/reconstruct/samples.parquet")
    write(instructions, INSTRUCTIONS, "data/clean/instructions.parquet")
    noise = {"reason": pl.String, "detail": pl.String, "instruction": pl.String}
    bad = [("truncated", "64 tokens", "And so on and"), ("empty", "", ""), ("truncated", "64 tokens", "When")]
    write([dict(zip(noise, row, strict=True)) for row in bad], noise, "data/clean/rejected.parquet")
    for model in MODELS:
        write([g for g in generations if g["model"] == model], GENERATIONS, f"data/generate/{model}.parquet")
        write([], noise, f"data/generate/{model}.rejected.parquet")
        write([s for s in scores if s["judge"] == model], SCORES, f"data/score/{model}.parquet")
    write(all_scores, ALL_SCORES, "data/filter/all_scores.parquet")
    write(selected, SELECTED, "data/filter/selected.parquet")
    write(rejected, REJECTED_CANDIDATES, "data/filter/selected.rejected.parquet")
    marks = {
        "base": ([i % 25 != 0 for i in range(general)], [i % 20 == 0 for i in range(domain)]),
        "domain_only": ([i % 2 == 0 for i in range(general)], [i % 10 != 0 for i in range(domain)]),
        "rehearsed": ([i % 25 != 1 for i in range(general)], [i % 11 != 0 for i in range(domain)]),
        "public": ([i % 3 == 0 for i in range(general)], [i % 8 != 0 for i in range(domain)]),
    }
    for arm, (right, learned) in marks.items():
        write(
            evaluation({"general": right, "domain": learned}).rows(named=True),
            EVALUATIONS,
            f"data/evaluate/{arm}.parquet",
        )
        if arm != "base":
            folder = root / "data/mix" / arm
            write([], noise, f"data/mix/{arm}/rejected.parquet")
            sources = [
                {"source": source, "train_rows": rows, "repeated_rows": repeated, "asked": rows, "available": 100}
                for source, rows, repeated in (
                    ("rehearsal" if arm == "rehearsed" else "public", 83, 0),
                    ("domain", 17, 0 if arm == "rehearsed" else 13),
                )
            ]
            found = [{"source": "domain", "suite": "gsm8k.jsonl", "action": "reported", "rows": 1234}]
            mixture = {"train_rows": 100, "train_tokens": 2000, "sources": sources, "contamination": found}
            (folder / "summary.json").write_text(json.dumps(mixture))
    (root / "metrics").mkdir(exist_ok=True)
    (root / "metrics/filter.json").write_text(json.dumps(COMMITTEE))
    (root / "metrics/clean.json").write_text(json.dumps(RECONSTRUCTION))
    (root / "metrics/my_own.json").write_text(json.dumps({"precision": 0.875, "task shares": {"sums": 0.25}}))
    (root / "plots/train").mkdir(parents=True, exist_ok=True)
    for arm in list(marks)[1:]:
        lines = [
            f"{step},{step / 90},{2 / step},{2.5 / step if step % 30 == 0 else ''},1e-3,1" for step in range(3, 91, 3)
        ]
        header = "step,epoch,loss,eval_loss,learning_rate,grad_norm"
        (root / f"plots/train/{arm}.csv").write_text("\n".join([header, *lines]) + "\n")


def covered(intervals: Floats, truth: float) -> float:
    """The share of simulated intervals (rows low, high) that hold the true value."""
    return float(((intervals[:, 0] <= truth) & (truth <= intervals[:, 1])).mean())
