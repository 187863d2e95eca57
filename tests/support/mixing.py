"""Files for the mix step."""

import json
from pathlib import Path

GOOD = {"question": "What is up?", "answer": "The sky."}


def write_lines(name, rows):
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def selection(i):
    asked = [{"role": "user", "content": f"Say the number {i}."}]
    row = {"instruction_id": f"i{i}", "instruction": asked[0]["content"], "response": f"It is {i}.", "model": "base"}
    row |= {"score": 4.5, "scores": [], "candidate_id": f"c{i}", "candidates": 9, "messages": asked}
    return row | {"system": None, "slice": "default", "language": None}
