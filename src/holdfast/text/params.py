"""Parameters of the comparison with evaluation suites and benchmarks: `clean.contamination`, read by clean and mix."""

from typing import Literal

from pydantic import Field

from holdfast.common.section import Section
from holdfast.text.benchmark_items import COMMON_FIELDS


class Contamination(Section):
    """Overlap with evaluation suites and benchmarks."""

    action: Literal["reject", "report"] = Field("reject", description="reject: hits are dropped; report: only recorded")
    ngram: int = Field(8, ge=2, le=50, description="words in a row that count as a hit")
    benchmarks: list[str] = Field([], description="further files to keep out: JSONL or Parquet")
    fields: list[str] = Field(
        list(COMMON_FIELDS),
        min_length=1,
        description="columns that may hold the text of an item, in order; the first one with a text is used;"
        " `a.b`: a nested column; `a + b`: two columns joined",
    )
