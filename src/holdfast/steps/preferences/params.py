"""Parameters of the step preferences: `preferences`. Nothing is built without this section."""

from pydantic import Field

from holdfast.common.section import Section


class Preferences(Section):
    """Which selections are paired, and how far apart the scores of a pair are."""

    selections: list[str] = Field(
        min_length=1, description="the selections of `filter` for which pairs are written; each needs judges"
    )
    min_margin: float = Field(
        0.5,
        gt=0,
        lt=4,
        description="least difference of the two aggregated scores, in points; instructions below it give no pair"
        " (small_margin)",
    )
