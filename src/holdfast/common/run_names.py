"""Names of training runs: every arm once per training seed."""

import re
from collections.abc import Iterable


def run_names(arms: Iterable[str], training_seeds: int) -> list[str]:
    """The training runs: each arm once under its own name, then `<arm>-s1`, `<arm>-s2` … for further training seeds."""
    return [arm if seed == 0 else f"{arm}-s{seed}" for arm in arms for seed in range(training_seeds)]


def arm_and_seed(run: str) -> tuple[str, int]:
    """The arm that a run trains, and the number of its training seed; names of arms hold no hyphen."""
    arm, _, seed = run.partition("-s")
    assert re.fullmatch(r"[a-z0-9_]+(-s[0-9]+)?", run), f"not the name of a run: {run}"
    return arm, int(seed or 0)
