"""Parameters of the training experiments: `arms`, one entry each, and how their runs are named."""

import re
from collections.abc import Iterable
from typing import Literal

from pydantic import Field, field_validator

from holdfast.params.section import Section


class Arm(Section):
    """The recipe of one mixture."""

    sources: dict[str, float] = Field(
        min_length=1, description="share of each source in the mixture, relative to their sum; `rehearsal` is built in"
    )
    by: Literal["rows", "tokens"] = Field("rows", description="what the shares and the budget count")
    budget: int | None = Field(
        None, ge=1, description="size of the whole mixture in `by`; null: `whole` is used whole and sets the size"
    )
    whole: str | None = Field(
        None, description="the source that is used whole; null: `mix.whole`, or an arm's only source"
    )
    shortage: Literal["error", "repeat", "shrink"] = Field(
        "error", description="a source too small for its share: stop, repeat its rows, or shrink the mixture"
    )

    @field_validator("sources")
    @classmethod
    def _positive(cls, sources: dict[str, float]) -> dict[str, float]:
        for name, share in sources.items():
            if not 0 < share < float("inf"):
                raise ValueError(f"the share of {name} must be above 0; leave the source out instead")
        return sources


def run_names(arms: Iterable[str], training_seeds: int) -> list[str]:
    """The training runs: each arm once under its own name, then `<arm>-s1`, `<arm>-s2` … for further training seeds."""
    return [arm if seed == 0 else f"{arm}-s{seed}" for arm in arms for seed in range(training_seeds)]


def arm_and_seed(run: str) -> tuple[str, int]:
    """The arm that a run trains, and the number of its training seed; names of arms hold no hyphen."""
    arm, _, seed = run.partition("-s")
    assert re.fullmatch(r"[a-z0-9_]+(-s[0-9]+)?", run), f"not the name of a run: {run}"
    return arm, int(seed or 0)
