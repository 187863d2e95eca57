"""How close does the reconstruction come? In the sandbox the true distribution of instructions is a table.

Reads what the clean step reads and writes metrics/sandbox_reconstruction.json. "Drawn" is every sample before cleaning,
"kept" every instruction that is answered later.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from holdfast.chat.user_turns import user_turns
from holdfast.common.files import scan_table, write_json
from holdfast.common.step import arguments, run
from holdfast.common.tables import INSTRUCTIONS, PROMPTS, SAMPLES
from holdfast.sandbox.world import Truth, world


def report(drawn: Iterable[str], kept: Iterable[str], truth: Mapping[str, Truth]) -> dict[str, Any]:
    """Precision, task shares, divergences and coverage of drawn and kept texts against the true distribution."""
    draws, stay = Counter(text.strip() for text in drawn), Counter(text.strip() for text in kept)
    tasks = Counter[str]()
    for one in truth.values():
        tasks[one.task] += one.probability  # type: ignore[assignment]  # probabilities, not counts
    missed = sorted((text for text in truth if text not in draws), key=lambda text: (-truth[text].probability, text))
    return {
        "world": {"instructions": len(truth), "task_shares": _rounded(tasks)},
        "drawn": _against(draws, truth, tasks),
        "kept": _against(stay, truth, tasks),
        "expected_coverage_of_a_perfect_sampler": round(_perfect(draws.total(), truth), 4),
        "likeliest_missed": missed[:10],
        "outside_the_world": [
            text for text, _ in sorted(draws.items(), key=lambda p: (-p[1], p[0])) if text not in truth
        ][:10],
    }


def _against(counts: Counter[str], truth: Mapping[str, Truth], tasks: Mapping[str, float]) -> dict[str, Any]:
    """One sample of texts, with how often each was drawn, against the true distribution.

    Total variations are null when no text is of the true world: there is no distribution to compare.
    """
    inside = {text: n for text, n in counts.items() if text in truth}
    total, known = counts.total(), sum(inside.values())
    found = Counter[str]()
    for text, n in inside.items():
        found[truth[text].task] += n
    shares = {task: found[task] / max(known, 1) for task in tasks}
    by_task = {
        task: sum(truth[t].probability for t in inside if truth[t].task == task) / share
        for task, share in tasks.items()
    }
    return {
        "texts": total,
        "distinct": len(counts),
        "precision": round(known / total, 4) if total else None,
        "task_shares": _rounded(shares),
        "task_total_variation": round(sum(abs(shares[t] - tasks[t]) for t in tasks) / 2, 4) if known else None,
        "instruction_total_variation": round(_distance(inside, known, truth), 4) if known else None,
        "coverage_by_frequency_mass": round(sum(truth[text].probability for text in inside), 4),
        "coverage_by_instruction": round(len(inside) / len(truth), 4),
        "coverage_by_frequency_mass_of_task": _rounded(by_task),
    }


def _distance(inside: Mapping[str, int], known: int, truth: Mapping[str, Truth]) -> float:
    """Total variation between the drawn frequencies of single instructions and the true ones."""
    seen = sum(abs(n / known - truth[text].probability) for text, n in inside.items())
    return (seen + sum(one.probability for text, one in truth.items() if text not in inside)) / 2


def _perfect(draws: int, truth: Mapping[str, Truth]) -> float:
    """The frequency mass that `draws` independent draws from the true distribution would cover on average."""
    return sum(one.probability * (1 - (1 - one.probability) ** draws) for one in truth.values())


def _rounded(shares: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in sorted(shares.items())}


def main() -> None:
    args = arguments(__doc__, "prompts", "samples", "instructions", "metrics")
    turns = user_turns(scan_table(args.samples, SAMPLES), scan_table(args.prompts, PROMPTS))
    drawn = turns.filter(pl.col("ended")).select("instruction").collect()["instruction"]
    kept = scan_table(args.instructions, INSTRUCTIONS).select("instruction").collect()["instruction"]
    found = report(drawn, kept, world())
    write_json(found, args.metrics)
    of = found["drawn"]
    print(
        f"reconstruction against the truth: precision {of['precision']}, total variation of task shares"
        f" {of['task_total_variation']}, {of['coverage_by_frequency_mass']:.0%} of the frequency mass covered"
        f" (a perfect sampler: {found['expected_coverage_of_a_perfect_sampler']:.0%})",
        flush=True,
    )


if __name__ == "__main__":
    run(main)
