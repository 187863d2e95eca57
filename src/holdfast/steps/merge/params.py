"""Parameters of the step merge: `arms.<name>.merge`."""

import math

from pydantic import Field, field_validator

from holdfast.common.averages import NEARLY
from holdfast.common.section import Section


class MergedArm(Section):
    """An arm without training of its own: the average of the weights of trained arms and the base model, as in WiSE-FT
    (Wortsman et al. 2021, arXiv 2109.01903)."""

    merge: dict[str, float] = Field(
        min_length=1, description="share of each trained arm in the average, from 0 to 1; the rest is the base model's"
    )

    @field_validator("merge")
    @classmethod
    def _shares(cls, merge: dict[str, float]) -> dict[str, float]:
        for name, share in merge.items():
            if not 0 <= share <= 1:
                raise ValueError(f"the share of {name} must be from 0 to 1; the rest is the base model's")
        if (total := math.fsum(merge.values())) > 1 + NEARLY:
            raise ValueError(f"the shares sum to {total:g}; they may sum to 1 at most: the rest is the base model's")
        return merge
