"""Parameters of the data that mixtures are made of: `sources`, one entry each."""

from typing import Literal

from pydantic import Field, model_validator

from holdfast.params.section import Section

Shape = Literal["messages", "conversations", "alpaca", "prompt_completion", "question_answer"]
Column = Literal[
    "messages", "conversations", "system", "tools", "slice",
    "instruction", "input", "output", "history", "prompt", "completion", "question", "answer",
]  # fmt: skip


class Source(Section):
    """One set of conversations: a file or folder of the user's own, or a selection of the filter room."""

    path: str | None = Field(
        None, description="JSONL, JSON, CSV or Parquet file, or a folder saved by Hugging Face `datasets`"
    )
    selection: str | None = Field(
        None, description="instead of a path: the name of a selection in `filter` (rehearsal data)"
    )
    format: Literal["jsonl", "json", "csv", "parquet", "dataset"] | None = Field(
        None, description="null: told by the file's name and its first bytes"
    )
    shape: Shape | None = Field(None, description="null: told by the columns of the first row")
    columns: dict[Column, str] = Field(
        {}, description="our name of a column -> its name in the file, where they differ"
    )
    split: str = Field("train", description="split of a `datasets` folder that has several")
    slices: dict[str, float] = Field(
        {}, description="use these slices only, in these relative shares; empty: all rows alike"
    )
    licence: str | None = Field(None, description="SPDX identifier or name")
    policy: list[str] = Field([], description="tags of what the licence allows, compared with `policy.require`")

    @model_validator(mode="after")
    def _one_origin(self) -> "Source":
        if (self.path is None) == (self.selection is None):
            raise ValueError("give either path or selection")
        if any(not 0 < share < float("inf") for share in self.slices.values()):
            raise ValueError("the shares of slices must be above 0; leave a slice out instead")
        return self

    @property
    def data(self) -> str:
        """The file or folder that holds the rows."""
        return self.path or f"data/filter/{self.selection}.parquet"


REHEARSAL = {"selection": "selected"}  # what the source `rehearsal` is unless the user defines it
