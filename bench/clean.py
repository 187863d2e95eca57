"""Cleaning at size: time, memory, recall and precision on planted near-duplicates, and datatrove's MinHash beside it.

    envs/in-env core python bench/clean.py --rows 1000000
    envs/in-env core python bench/clean.py --rows 200000 --datatrove PYTHON

PYTHON is that of an environment with datatrove, spacy, tokenizers and what it asks for (it is none of Holdfast's).
Both get two cores, the same rows, words in threes and the same bands; what each is to do for its rows is in its line.
"""

import argparse
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from holdfast.common.tables import PROMPTS, SAMPLES
from holdfast.steps.clean.near_duplicates import bands

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/support"))
from labelled_pairs import REWRITES  # noqa: E402

EDITED = 0.1  # of the rows are edits of another row
DATATROVE = """
import sys, time
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
rows, out, buckets, hashes = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
config = MinhashConfig(n_grams=3, num_buckets=buckets, hashes_per_bucket=hashes)
steps = [
    (2, [JsonlReader(rows), MinhashDedupSignature(f"{out}/signatures", config=config, language="eng")]),
    (buckets, [MinhashDedupBuckets(f"{out}/signatures", f"{out}/buckets", config=config)]),
    (1, [MinhashDedupCluster(f"{out}/buckets", f"{out}/remove", config=config)]),
    (2, [JsonlReader(rows), MinhashDedupFilter(f"{out}/remove"), JsonlWriter(f"{out}/kept", compression=None)]),
]
if __name__ == "__main__":
    for number, (tasks, step) in enumerate(steps):
        LocalPipelineExecutor(step, tasks=tasks, workers=2, start_method="fork").run()
"""


def texts(rows: int, seed: int = 0) -> tuple[list[str], list[tuple[int, int]]]:
    """Synthetic instructions of 8 to 80 words, and the planted pairs (original, edit)."""
    chance = random.Random(seed)
    numbers = np.random.default_rng(seed)
    syllables = [a + b for a in "bcdfghklmnprstvw" for b in ("a", "e", "i", "o", "u", "an", "er", "ing", "ion", "ent")]
    vocabulary = ["".join(chance.choices(syllables, k=chance.choice((1, 2, 2, 3)))) for _ in range(50_000)]
    openings = ["What is the", "Write a short text about", "Explain why", "How do I", "Give me a list of", "Translate"]
    first = round(rows * (1 - EDITED))
    lengths = np.clip(numbers.lognormal(3.0, 0.6, first), 8, 80).astype(int)
    picks = np.minimum(numbers.zipf(1.3, int(lengths.sum())) - 1, len(vocabulary) - 1)
    found, at = [], 0
    for length in lengths.tolist():
        words = [vocabulary[k] for k in picks[at : at + length]]
        found.append(f"{chance.choice(openings)} {' '.join(words)}?")
        at += length
    pairs = []
    for _ in range(rows - first):
        source = chance.randrange(first)
        edit = REWRITES[chance.choice(["punctuation and case", "politeness"])]
        pairs.append((source, len(found)))
        found.append(edit(found[source], chance))
    return found, pairs


def similarity(one: str, other: str) -> float:
    """Jaccard similarity of the sets of three words in a row, the plain way."""
    sets = []
    for text in (one, other):
        found = re.findall(r"\w+", text.lower())
        sets.append({tuple(found[k : k + 3]) for k in range(len(found) - 2)})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def write_inputs(folder: Path, found: list[str]) -> None:
    """What the step reads: prompts, samples, a suite of 1,000 items (100 are in the samples too), params.yaml."""
    prompt = dict.fromkeys(PROMPTS) | {"prompt_id": "p", "kind": "template", "slice": "general", "samples": len(found)}
    prompt |= {"boundary": "", "stop_ids": [2], "marks": ["<|im_start|>", "<|im_end|>"], "rendering": "{}"}
    pl.DataFrame([prompt], schema=PROMPTS).write_parquet(folder / "prompts.parquet")
    rows = pl.DataFrame({"text": found}).with_columns(
        sample_id=pl.format("s{}", pl.int_range(pl.len())),
        prompt_id=pl.lit("p"),
        draw=pl.int_range(pl.len()),
        turn=pl.lit(1, dtype=pl.Int64),
        finish_reason=pl.lit("stop"),
        prompt_tokens=pl.lit(3, dtype=pl.Int64),
        output_tokens=pl.col("text").str.count_matches(" ").cast(pl.Int64),
        logprobs=pl.lit(None, dtype=pl.List(pl.Float64)),
        request_key=pl.lit("k"),
        error=pl.lit(None, dtype=pl.String),
        messages=pl.lit([], dtype=SAMPLES["messages"]),
    )
    rows.select(list(SAMPLES)).write_parquet(folder / "samples.parquet")
    other, _ = texts(1000, seed=1)
    items = [*found[:100], *other[:900]]
    lines = [json.dumps({"item_id": str(k), "prompt": text}) for k, text in enumerate(items)]
    (folder / "suite.jsonl").write_text("\n".join(lines))
    (folder / "params.yaml").write_text("evaluate: {suites: {suite: {path: suite.jsonl}}}\n")


def cpu_s() -> float:
    """CPU seconds of finished child processes: on a busy machine the fairer clock."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_ours(folder: Path) -> tuple[float, float]:
    """Seconds and GB of the whole clean step."""
    env = os.environ | {"POLARS_MAX_THREADS": "2", "RAYON_NUM_THREADS": "2", "OMP_NUM_THREADS": "1"}
    names = ("instructions", "rejected", "contamination")
    outputs = [word for name in names for word in (f"--{name}", f"{name}.parquet")]
    command = [sys.executable, "-m", "holdfast.steps.clean", "--params", "evaluate.suites.suite.path", "--harness"]
    command += ["--prompts", "prompts.parquet", "--samples", "samples.parquet", *outputs, "--metrics", "metrics.json"]
    start = time.monotonic()
    subprocess.run(command, cwd=folder, check=True, env=env | {"PYTHONPATH": str(ROOT / "src")})
    return time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6


NEAR = """
import sys
import numpy as np
import polars as pl
from holdfast.steps.clean.near_duplicates import duplicates_of
texts = pl.read_parquet(sys.argv[1], columns=["text"])["text"]
kept, _ = duplicates_of(texts, np.arange(len(texts)), 0.8, 3, 128)
pl.DataFrame({"text": texts.filter(kept < 0)}).write_parquet("near.parquet")
"""


def run_near(folder: Path) -> float:
    """Seconds of near-deduplication alone, from Parquet to Parquet."""
    env = os.environ | {"POLARS_MAX_THREADS": "2", "RAYON_NUM_THREADS": "2", "OMP_NUM_THREADS": "1"}
    start = time.monotonic()
    command = [sys.executable, "-c", NEAR, "samples.parquet"]
    subprocess.run(command, cwd=folder, check=True, env=env | {"PYTHONPATH": str(ROOT / "src")})
    return time.monotonic() - start


def run_datatrove(folder: Path, python: str, found: list[str]) -> tuple[float, set[int]]:
    """Seconds of signatures, buckets, clusters and filter on the same rows, and the rows that it keeps."""
    half = len(found) // 2
    (folder / "rows").mkdir()
    for part, start, end in ((0, 0, half), (1, half, len(found))):
        lines = [json.dumps({"id": str(k), "text": found[k]}) for k in range(start, end)]
        (folder / "rows" / f"{part}.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "run.py").write_text(DATATROVE)
    count, rows = bands(0.8, 128)
    began = time.monotonic()
    command = [python, "run.py", "rows", "out", str(count), str(rows)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    taken = time.monotonic() - began
    kept = [json.loads(line)["id"] for file in (folder / "out/kept").glob("*") for line in file.open()]
    return taken, {int(k) for k in kept}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--datatrove", metavar="PYTHON")
    arguments = parser.parse_args()
    found, pairs = texts(arguments.rows)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, found)
        taken, memory_gb = run_ours(folder)
        ours_cpu = cpu_s()
        print(f"holdfast clean, near-dedup, decontamination: {taken:.0f} s ({ours_cpu:.0f} s of CPU), ", end="")
        print(f"{len(found) / taken:.0f} rows/s, {memory_gb:.2f} GB", flush=True)
        kept = set(pl.read_parquet(folder / "instructions.parquet")["instruction"])
        rejected = pl.read_parquet(folder / "rejected.parquet")
        near = rejected.filter(pl.col("reason") == "near_duplicate")
        by_id = dict(
            pl.read_parquet(folder / "instructions.parquet").select("instruction_id", "instruction").iter_rows()
        )
        right = [
            similarity(text, by_id[detail.split(" of ")[1]]) >= 0.8
            for text, detail in near.select("instruction", "detail").iter_rows()
        ]
        planted = [(a, b) for a, b in pairs if similarity(found[a], found[b]) >= 0.8]
        hit = [not (found[a] in kept and found[b] in kept) for a, b in planted]
        print(f"  {len(planted)} planted at Jaccard 0.8 up: recall {np.mean(hit):.4f}, precision {np.mean(right):.4f}")
        print("  " + json.dumps(dict(rejected["reason"].value_counts().sort("reason").iter_rows())))
        if arguments.datatrove:
            before = cpu_s()
            near_s = run_near(folder)
            near_cpu = cpu_s() - before
            print(f"near-dedup alone: {near_s:.1f} s ({near_cpu:.0f} s of CPU), {len(found) / near_s:.0f} rows/s")
            before = cpu_s()
            other, stay = run_datatrove(folder, arguments.datatrove, found)
            hit = [not (a in stay and b in stay) for a, b in planted]
            other_cpu = cpu_s() - before
            print(
                f"datatrove MinHash alone: {other:.0f} s ({other_cpu:.0f} s of CPU), {len(found) / other:.0f} rows/s",
                end="",
            )
            print(f"; recall {np.mean(hit):.4f}")
            ratios = other / near_s, other / taken
            print("  rows/s of holdfast to datatrove's: near-dedup {:.1f}, the whole step {:.1f}".format(*ratios))


if __name__ == "__main__":
    main()
