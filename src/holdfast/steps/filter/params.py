"""Parameters of the step filter: `filter`, one entry per selection; mixtures use `selected` by default."""

from typing import Literal

from pydantic import Field, model_validator

from holdfast.common.section import Section


class Selection(Section):
    """Which candidates are considered, how their scores are aggregated, and which are kept."""

    models: list[str] | None = Field(None, min_length=1, description="only these models' candidates; null: all")
    samples: int | None = Field(None, ge=1, description="only the first so many candidates of each model; null: all")
    judges: list[str] | None = Field(None, description="only these judges; null: all; []: none, a random choice")
    aggregate: Literal["mean", "calibrated", "median"] = Field(
        "mean", description="over a candidate's judges; calibrated: mean after removing each judge's scale and severity"
    )
    exclude_self: bool = Field(False, description="leave out the score that a model gave to its own answer")
    min_judges: int = Field(1, ge=1, description="candidates with fewer usable scores are rejected (no_score)")
    min_score: float | None = Field(None, description="candidates below this aggregated score are rejected (low_score)")
    keep: Literal["best", "all"] = Field("best", description="one candidate per instruction, or all that pass")
    truncated: bool = Field(False, description="keep answers that reached max_tokens")
    refusals: bool = Field(True, description="keep answers that begin like a refusal")
    min_chars: int = Field(1, ge=0, description="shortest answer, in characters")
    max_chars: int | None = Field(None, ge=1, description="longest answer, in characters")
    same_language: bool = Field(False, description="reject answers in another language than the instruction")

    @model_validator(mode="after")
    def _bounds_agree(self) -> "Selection":
        if self.max_chars is not None and self.max_chars < self.min_chars:
            raise ValueError(f"max_chars {self.max_chars} is below min_chars {self.min_chars}")
        if self.judges == [] and self.min_score is not None:
            raise ValueError("min_score needs judges")
        return self
