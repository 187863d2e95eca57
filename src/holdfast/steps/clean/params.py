"""Parameters of the step clean: `clean`."""

from pydantic import Field, model_validator

from holdfast.common.section import Section
from holdfast.text.params import Contamination


class NearDuplicates(Section):
    """MinHash with locality-sensitive hashing, then the exact Jaccard similarity of the pairs found."""

    threshold: float | None = Field(
        0.8,
        gt=0,
        le=1,
        description="Jaccard similarity of n-gram sets from which rows are near-duplicates; null: keep all",
    )
    ngram: int = Field(3, ge=1, le=20, description="words (or characters of unspaced scripts) in an n-gram")
    permutations: int = Field(128, ge=16, le=1024, description="length of a MinHash signature")


class Clean(Section):
    """Which samples are kept as instructions."""

    min_characters: int = Field(2, ge=1, description="shorter instructions are rejected, in characters")
    max_characters: int = Field(20_000, ge=1, description="longer instructions are rejected, in characters")
    max_repeated_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="rejected if one run of repeated words or characters takes a larger share of the text",
    )
    near_duplicates: NearDuplicates = Field(NearDuplicates(), description="texts that are nearly the same")
    contamination: Contamination = Field(Contamination(), description="texts that are in an evaluation suite")

    @model_validator(mode="after")
    def _ordered(self) -> "Clean":
        if self.min_characters > self.max_characters:
            raise ValueError("min_characters is above max_characters")
        return self
