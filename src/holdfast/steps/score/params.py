"""Parameters of the step score: `score`."""

from typing import Literal

from pydantic import Field

from holdfast.common.section import Section
from holdfast.inference.params import Sampling, SamplingOverride


class Judge(Section):
    """Settings of one judge."""

    sampling: SamplingOverride = Field(SamplingOverride(), description="parse: this judge's own sampling settings")


class Score(Section):
    """How answers are judged, and by whom."""

    rubric: str = Field("data/seed/rubric.md", description="file with the rubric, shown before each answer")
    method: Literal["expected", "parse"] = Field(
        "expected", description="expected: mean over the probabilities of 1 to 5; parse: a reason, then 'Score: N'"
    )
    min_valid_mass: float = Field(
        0.5, ge=0, le=1, description="expected: below this probability of 1 to 5 taken together there is no score"
    )
    attempts: int = Field(3, ge=1, le=100, description="parse: how often a judge is asked until its reply can be read")
    sampling: Sampling = Field(
        Sampling(temperature=0.7, top_p=1.0, max_tokens=256), description="parse: how the judge's reply is drawn"
    )
    judges: dict[str, Judge] = Field({}, description="the judges, by their names in `models`")
