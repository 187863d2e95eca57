"""Parameters of the proof: `report`."""

from typing import Annotated

from pydantic import Field

from holdfast.common.section import Section


class Limits(Section):
    """What an arm must hold, in points of accuracy (hundredths), each at `confidence`. Null: no limit."""

    general_loss: float | None = Field(
        2.0, ge=0, le=100, description="greatest loss of general accuracy against the base, in points"
    )
    domain_gain: float | None = Field(
        0.0, ge=0, le=100, description="least gain of domain accuracy over the base, in points"
    )
    domain_shortfall: float | None = Field(
        None, ge=0, le=100, description="greatest shortfall of domain accuracy behind the `reference` arm, in points"
    )


class Report(Section):
    """How sure is sure enough, and what is shown."""

    confidence: float = Field(0.95, gt=0.5, lt=1, description="two-sided confidence of every interval")
    resamples: int = Field(10_000, ge=1000, le=1_000_000, description="bootstrap resamples")
    reference: str = Field(
        "domain_only",
        description="the arm, if there is one so called, that every other is compared with besides the base",
    )
    limits: Limits = Field(Limits(), description="what `holdfast check` and the verdicts hold an arm to")
    gated: list[Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]] = Field(
        [], description="arms that `holdfast check` looks at when it is given none; empty: all of them"
    )
    examples: int = Field(20, ge=0, le=200, description="instructions shown with their candidates and scores")
    items: int = Field(100, ge=0, le=2000, description="forgotten and learned items shown for an arm")
