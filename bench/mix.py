"""Time, CPU seconds and memory of the mix step: envs/in-env core python bench/mix.py [ROWS] [--against SRC]

ROWS conversations (default 100,000) of about 1,000 characters: 17 % of them a user's JSONL, the others a selection of
the step filter; compared with 1,500 test items, their tokens counted with a byte-level BPE tokenizer of 32,000 tokens.
Beside it the least that a script does with the same rows (`peer`): `datasets` renders and tokenises them in as many
processes as there are cores, drops long ones, shuffles and writes JSONL. `--against` names the `src` folder of another
checkout: its outputs must be the same bytes. Memory is the sum over the processes of a step (proportional set size),
sampled four times a second.
"""

import argparse
import filecmp
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import psutil
import yaml
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from holdfast.common.tables import SELECTED

SHARE = 0.83  # of rehearsal
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] | trim }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PEER = """
import os, sys
import datasets
from transformers import AutoTokenizer
tokenizer, cores = AutoTokenizer.from_pretrained("base"), len(os.sched_getaffinity(0))
own = datasets.load_dataset("json", data_files="domain.jsonl", split="train", cache_dir="cache")
selected = "data/filter/selected.parquet"
rehearsal = datasets.load_dataset("parquet", data_files=selected, split="train", cache_dir="cache")
def talk(row):
    return {"messages": [*row["messages"], {"role": "assistant", "content": row["response"]}]}
rehearsal = rehearsal.map(talk, remove_columns=rehearsal.column_names, features=own.features, num_proc=cores)
rows = datasets.concatenate_datasets([own, rehearsal])
def count(batch):
    ids = tokenizer.apply_chat_template(batch["messages"], tokenize=True, return_dict=False)
    return {"tokens": [len(row) for row in ids]}
rows = rows.map(count, batched=True, num_proc=cores)
rows = rows.filter(lambda row: row["tokens"] <= 4096, num_proc=cores).shuffle(seed=0)
rows.to_json("peer.jsonl", num_proc=cores)
"""


def make(folder: Path, rows: int) -> None:
    """domain.jsonl, data/filter/selected.parquet, suite.jsonl, params.yaml and the tokenizer's folder `base`."""
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = np.array(["".join(rng.choice(letters, n)) for n in rng.integers(2, 10, 20_000)])
    often = 1 / np.arange(1, len(words) + 1)
    pool = [
        " ".join(some).capitalize() + "." for some in rng.choice(words, (50_000, 25), p=often / often.sum()).tolist()
    ]

    def texts(count: int, sentences: int) -> list[str]:
        return [" ".join(pool[i] for i in some) for some in rng.integers(0, len(pool), (count, sentences)).tolist()]

    own = rows - int(rows * SHARE)
    with (folder / "domain.jsonl").open("w") as file:
        for number, (asked, answer) in enumerate(zip(texts(own, 2), texts(own, 4), strict=True)):
            talk = [
                {"role": "user", "content": f"{asked} {number}?"},
                {"role": "assistant", "content": answer},
            ]
            file.write(json.dumps({"messages": talk}) + "\n")
    (folder / "data/filter").mkdir(parents=True)
    parts = []
    for start in range(0, rows - own, 50_000):
        number = pl.int_range(start, min(start + 50_000, rows - own), eager=True)
        asked = pl.Series(texts(len(number), 2)) + " " + number.cast(pl.String)
        known = pl.DataFrame({"instruction": asked, "response": texts(len(number), 4), "n": number})
        user = pl.struct(role=pl.lit("user"), content=pl.col("instruction"))
        known = known.select(
            "instruction",
            "response",
            instruction_id=pl.format("i{}", "n"),
            candidate_id=pl.format("c{}", "n"),
            model=pl.lit("base"),
            score=pl.col("n") % 40 / 10 + 1,
            messages=pl.concat_list(user),
            slice=pl.lit("default"),
        )
        empty = [pl.lit(None, kind).alias(name) for name, kind in SELECTED.items() if name not in known.columns]
        parts.append(known.with_columns(empty).select(list(SELECTED)).cast(SELECTED))
    pl.concat(parts).write_parquet(folder / "data/filter/selected.parquet", row_group_size=65_536)
    with (folder / "suite.jsonl").open("w") as file:
        for number, text in enumerate(rng.choice(words, (1_500, 40), p=often / often.sum()).tolist()):
            file.write(json.dumps({"item_id": str(number), "prompt": " ".join(text)}) + "\n")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = (
        pre_tokenizers.ByteLevel(add_prefix_space=False),
        decoders.ByteLevel(),
    )
    special = ["<|bos|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=32_000,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(pool, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=special[0], eos_token=special[2])
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder / "base")
    arm = {"sources": {"rehearsal": SHARE, "domain": 1 - SHARE}, "shortage": "shrink"}
    params = {"random_seed": 0, "base": "base", "mix": {}, "train": {"sequence_len": 4096}, "arms": {"a": arm}}
    params |= {"sources": {"domain": {"path": "domain.jsonl"}}, "models": {"base": {"licence": "Apache-2.0"}}}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


def measured(name: str, command: list[str], folder: Path, source: Path) -> float:
    """CPU seconds of the command; prints them with time and memory."""
    started, peak = time.monotonic(), 0
    with (folder / f"{name}.log").open("w") as log:
        process = psutil.Popen(
            command, cwd=folder, env=os.environ | {"PYTHONPATH": str(source)}, stdout=log, stderr=log
        )
        while process.poll() is None:
            used = 0
            for one in [process, *process.children(recursive=True)]:
                try:
                    used += one.memory_full_info().pss
                except psutil.Error:
                    continue
            peak = max(peak, used)
            time.sleep(0.25)
    elapsed = time.monotonic() - started
    if process.returncode:
        sys.exit(f"{name} failed:\n{(folder / f'{name}.log').read_text()[-2000:]}")
    spent = json.loads((folder / f"{name}.json").read_text())
    print(f"{name}: {spent:.1f} s of CPU, {elapsed:.1f} s, {peak / 2**30:.2f} GiB at most", flush=True)
    return float(spent)


WITH_CPU = (
    "import json, resource, subprocess, sys\n"
    "status = subprocess.run(sys.argv[2:]).returncode\n"
    "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
    "json.dump(used.ru_utime + used.ru_stime, open(sys.argv[1], 'w'))\n"
    "sys.exit(status)"
)


def run(name: str, command: list[str], folder: Path, source: Path) -> float:
    return measured(name, [sys.executable, "-c", WITH_CPU, f"{name}.json", sys.executable, *command], folder, source)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="?", type=int, default=100_000)
    parser.add_argument("--against", type=Path, help="src folder of another checkout")
    parser.add_argument("--without-peer", action="store_true")
    args = parser.parse_args()
    keys = "random_seed,mix,train.sequence_len,arms.a,sources.domain,models.base.licence"
    step = ["-m", "holdfast.steps.mix", "--params", keys, "--arm", "a", "--base", "./base", "--suites", "suite.jsonl"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, args.rows)
        print(f"{args.rows:,} conversations, {len(os.sched_getaffinity(0))} cores", flush=True)
        own = Path(__file__).parents[1] / "src"
        here = run("mix", [*step, "--harness", "--out", "mix-out"], folder, own)
        print((folder / "mix.log").read_text(), end="")
        if not args.without_peer:
            (folder / "peer.py").write_text(PEER)
            print(f"peer / mix: {run('peer', ['peer.py'], folder, own) / here:.2f} (CPU seconds)")
        if args.against:
            there = run("old", [*step, "--harness", "--out", "old-out"], folder, args.against.resolve())
            print(f"old / mix: {there / here:.2f} (CPU seconds)")
            files = sorted(p.name for p in (folder / "mix-out").iterdir())
            _, differ, missing = filecmp.cmpfiles(folder / "mix-out", folder / "old-out", files, shallow=False)
            print("outputs: " + (f"differ: {differ + missing}" if differ or missing else "the same bytes"))


if __name__ == "__main__":
    main()
