"""Parameters of the report: `report`."""

from typing import Annotated, Literal

from pydantic import Field

from holdfast.common.section import Section


class Limits(Section):
    """Limits on every arm, in points of accuracy (hundredths); met when the whole interval at `confidence` is within.

    Null: no limit.
    """

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
    """How arms are compared with the base, and what the page shows."""

    confidence: float = Field(0.95, gt=0.5, lt=1, description="two-sided confidence of every interval")
    average: Literal["suites", "items"] = Field(
        "suites",
        description="what verdicts and limits go by where several suites measure an ability: the mean over suites, "
        "each counting alike, as leaderboards have it, or over items; the report shows both",
    )
    resamples: int = Field(10_000, ge=1000, le=1_000_000, description="bootstrap resamples")
    reference: str = Field(
        "domain_only",
        description="an arm that every other is compared with, besides the base; none where no arm has this name",
    )
    limits: Limits = Field(Limits(), description="limits that verdicts and `holdfast check` go by")
    gated: list[Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]] = Field(
        [], description="arms that `holdfast check` checks when it is given none; empty: all arms"
    )
    examples: int = Field(20, ge=0, le=200, description="instructions shown with their candidates and scores")
    items: int = Field(100, ge=0, le=2000, description="forgotten and learned items shown for an arm")
