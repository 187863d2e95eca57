"""Near-duplicates on labelled texts: different tasks in one frame that go, and rewritten ones that are found.

envs/in-env core python bench/near_duplicates.py
"""

import random
import sys
from pathlib import Path

import numpy as np
import polars as pl

from holdfast.steps.clean.near_duplicates import duplicates_of, jaccard
from holdfast.text.words import distinct, grams, words

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/support"))
from labelled_pairs import FRAMES, REWRITES, family

TASKS, REWRITTEN = 250, 30


def main() -> None:
    chance = random.Random(0)
    print("| family | tasks removed | " + " | ".join(REWRITES) + " |")
    for name in FRAMES:
        texts = family(name, TASKS, chance)
        of, kinds = list(range(TASKS)), ["task"] * TASKS
        for kind, rewrite in REWRITES.items():
            for k in chance.sample(range(TASKS), REWRITTEN):
                texts.append(rewrite(texts[k], chance))
                of.append(k)
                kinds.append(kind)
        kept, _ = duplicates_of(pl.Series(texts), np.arange(len(texts)), 0.8, 3, 128)
        pairs = np.stack([np.array(of), np.arange(len(texts))], axis=1)
        sets = distinct(grams(words(pl.Series(texts)), 3))
        near = jaccard(sets._replace(hashes=(sets.hashes >> np.uint64(32)).astype(np.uint32)), pairs) >= 0.8
        source = np.array(of)
        found = (kept >= 0) & (source[np.maximum(kept, 0)] == source)
        cells = [f"{(kept[:TASKS] >= 0).sum()} of {TASKS}"]
        for kind in REWRITES:
            chosen = found[near & (np.array(kinds) == kind)]
            cells.append(f"{chosen.sum()} of {len(chosen)}")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
