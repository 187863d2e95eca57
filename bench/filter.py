"""Time and memory of the filter room on made-up tables: envs/in-env core python bench/filter.py [SCORE_ROWS]

Three models, three samples, three judges, answers of 100 to 900 characters. Prints one line per selection and one for
the table of all scores with its metrics.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import yaml

from holdfast.common.tables import GENERATIONS, INSTRUCTIONS, SCORES

MODELS = JUDGES = ("base", "novice", "scholar")
SELECTIONS = {
    "selected": {"aggregate": "mean"},
    "calibrated": {"aggregate": "calibrated", "exclude_self": True, "min_score": 2.5, "refusals": False},
    "drawn": {"judges": []},
}
WORDS = np.array(
    ["the", "holdfast", "keeps", "its", "grip", "on", "rock", "while", "waves", "pull", "and", "tides", "turn"]
)


def ids(rng: np.random.Generator, count: int) -> pl.Series:
    return pl.Series(rng.integers(0, 2**64, count, dtype=np.uint64)).map_elements(lambda n: f"{n:016x}", pl.String)


def filled(schema: dict, rows: int, **columns) -> pl.DataFrame:
    empty = {name: pl.repeat(None, rows, dtype=kind, eager=True) for name, kind in schema.items()}
    return pl.DataFrame(empty | columns).cast(schema).select(list(schema))


def make(folder: Path, score_rows: int) -> None:
    rng = np.random.default_rng(0)
    asked = score_rows // (len(MODELS) * 3 * len(JUDGES)) + 1
    keys, text = ids(rng, asked).sort(), pl.Series(rng.choice(WORDS, (asked, 12)).tolist()).list.join(" ")
    turns = pl.select(pl.concat_list(pl.struct(pl.lit("user").alias("role"), text.alias("content")))).to_series()
    table = filled(INSTRUCTIONS, asked, instruction_id=keys, instruction=text, messages=turns)
    table.write_parquet(folder / "instructions.parquet")
    candidates = []
    pool = [" ".join(rng.choice(WORDS, n)) for n in rng.integers(20, 180, 20_000)]
    for model in MODELS:
        rows = asked * 3
        answers = [pool[i] for i in rng.integers(0, len(pool), rows)]
        table = filled(
            GENERATIONS,
            rows,
            candidate_id=ids(rng, rows),
            instruction_id=pl.concat([keys] * 3),
            model=pl.Series([model]).new_from_index(0, rows),
            sample=np.repeat(np.arange(3), asked),
            response=answers,
            finish_reason=np.where(rng.random(rows) < 0.02, "length", "stop"),
            output_tokens=rng.integers(20, 180, rows),
        )
        table.write_parquet(folder / f"generate-{model}.parquet")
        candidates.append(table.select("candidate_id", "instruction_id"))
    every = pl.concat(candidates)
    quality = rng.normal(3, 0.8, len(every))
    for judge in JUDGES:
        score = np.clip(quality + rng.normal(0, 0.5, len(every)), 1, 5)
        score[rng.random(len(every)) < 0.01] = np.nan
        scores = pl.Series(score).fill_nan(None)
        status = pl.select(pl.when(scores.is_null()).then(pl.lit("unparsable")).otherwise(pl.lit("ok"))).to_series()
        named = {"judge": pl.Series([judge]).new_from_index(0, len(every)), "score": scores, "status": status}
        table = filled(
            SCORES, len(every), candidate_id=every["candidate_id"], instruction_id=every["instruction_id"], **named
        )
        table.write_parquet(folder / f"score-{judge}.parquet")


def run(what: str, step: str, folder: Path, *more: str) -> None:
    command = [sys.executable, "-m", f"holdfast.steps.{step}", *more, "--instructions", "instructions.parquet"]
    command += ["--generations", *(f"generate-{m}.parquet" for m in MODELS)]
    scores = [] if what == "drawn" else [f"score-{j}.parquet" for j in JUDGES]
    started = time.monotonic()
    process = subprocess.Popen([*command, "--scores", *scores], cwd=folder)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    assert status == 0, f"{what} failed"
    print(f"{what}: {seconds:.1f} s, {usage.ru_maxrss / 2**20:.2f} GiB at most", flush=True)


def main() -> None:
    score_rows = int(sys.argv[1]) if len(sys.argv) > 1 else 3_000_000
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1] / "src")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, score_rows)
        (folder / "params.yaml").write_text(yaml.safe_dump({"random_seed": 0, "filter": SELECTIONS}))
        size = sum(p.stat().st_size for p in folder.glob("*.parquet")) / 2**20
        print(f"{score_rows} score rows, {size:.0f} MiB of Parquet, {os.cpu_count()} cores")
        for selection in SELECTIONS:
            outputs = ["--selected", f"{selection}.parquet", "--rejected", f"{selection}.rejected.parquet"]
            keys = f"random_seed,filter.{selection}"
            run(selection, "filter", folder, "--params", keys, "--selection", selection, *outputs)
        files = ["--selected", "selected.parquet", "--rejected", "selected.rejected.parquet"]
        files += ["--all-scores", "all_scores.parquet", "--metrics", "filter.json"]
        run(
            "all scores and metrics",
            "filter.judge_statistics",
            folder,
            "--params",
            "random_seed,filter.selected",
            *files,
        )


if __name__ == "__main__":
    main()
