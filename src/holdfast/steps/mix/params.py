"""Parameters of the step mix: `mix`, shared by all arms."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, field_validator, model_validator

from holdfast.common.errors import UserError
from holdfast.common.section import Section
from holdfast.steps.mix.shapes import ANY_SHAPE, SHAPES


class Arm(Section):
    """One training experiment: the recipe of its mixture, and the training settings of its own."""

    sources: dict[str, float] = Field(
        min_length=1, description="share of each source in the mixture, relative to their sum; `rehearsal` is built in"
    )
    unit: Literal["rows", "tokens"] = Field("rows", description="what the shares and the budget count")
    budget: int | None = Field(None, ge=1, description="size of the whole mixture in `unit`; null: `size_from` sets it")
    size_from: str | None = Field(
        None,
        description="the source whose rows are all used and set the size; null: `mix.size_from`, or an arm's only one",
    )
    shortage: Literal["error", "repeat", "shrink"] = Field(
        "error", description="a source too small for its share: stop, repeat its rows, or shrink the mixture"
    )
    train: dict[str, Any] = Field(
        {}, description="settings of `train` that are different for this arm; `axolotl` and `resources` key by key"
    )

    @field_validator("sources")
    @classmethod
    def _positive(cls, sources: dict[str, float]) -> dict[str, float]:
        for name, share in sources.items():
            if not 0 < share < float("inf"):
                raise ValueError(f"the share of {name} must be above 0; leave the source out instead")
        return sources


MIXTURE = tuple(key for key in Arm.model_fields if key != "train")  # the keys of an arm that decide its mixture


class Mix(Section):
    """Settings of all mixtures."""

    size_from: str = Field(
        "domain", description="the source whose rows an arm without a budget uses all, which sets the mixture's size"
    )
    validation: float = Field(
        0.02, ge=0, lt=1, description="share of each source's drawn rows set aside in val.jsonl, at least one; 0: none"
    )
    too_long: Literal["reject", "truncate"] = Field(
        "reject",
        description="conversations of more than `train.sequence_len` tokens: drop, or cut late turns and the end",
    )
    max_bad_share: float = Field(
        0.01, ge=0, le=1, description="stop when more than this share of a source's rows is malformed"
    )


def size_source(name: str, arm: Arm, mix: Mix) -> str | None:
    """The source that sets the size of the mixture; None where a budget does. Raises UserError where nothing does."""
    if arm.budget is not None:
        if arm.size_from is not None:
            raise UserError(f"params.yaml: arms.{name}: budget and size_from both set the size; keep one")
        return None
    source = arm.size_from or (next(iter(arm.sources)) if len(arm.sources) == 1 else mix.size_from)
    if source not in arm.sources:
        raise UserError(
            f"params.yaml: arms.{name}: nothing sets its size: it has no source {source!r} to take its size from;"
            f" set arms.{name}.size_from to one of {', '.join(arm.sources)}, or a budget"
        )
    return source


def _known_shape(name: str) -> str:
    if name not in SHAPES:
        raise ValueError(f"the shapes are {', '.join(SHAPES)}")
    return name


def _known_column(name: str) -> str:
    known = dict.fromkeys(name for shape in SHAPES.values() for name in (*shape.columns, *shape.optional))
    if name not in (*known, *ANY_SHAPE):
        raise ValueError(f"the columns that can be mapped are {', '.join((*known, *ANY_SHAPE))}")
    return name


Shape = Annotated[str, AfterValidator(_known_shape), WithJsonSchema({"enum": list(SHAPES), "type": "string"})]
Column = Annotated[str, AfterValidator(_known_column)]


class Source(Section):
    """One set of conversations: a file or folder of the user's own, or a selection of the step filter."""

    path: str | None = Field(
        None, description="JSONL, JSON, CSV or Parquet file, or a folder saved by Hugging Face `datasets`"
    )
    selection: str | None = Field(
        None, description="instead of a path: the name of a selection in `filter` (rehearsal data)"
    )
    format: Literal["jsonl", "json", "csv", "parquet", "dataset"] | None = Field(
        None, description="null: detected by the file's name and its first bytes"
    )
    shape: Shape | None = Field(None, description="null: detected by the columns of the first row")
    columns: dict[Column, str] = Field(
        {}, description="name of a column in Holdfast -> its name in the file, where they differ"
    )
    split: str = Field("train", description="split of a `datasets` folder or a JSON file that has several")
    slices: dict[str, float] = Field({}, description="use these slices only, in these relative shares; empty: all rows")
    draw: Literal["uniform", "balanced", "damage"] = Field(
        "uniform",
        description="which rows an arm gets that does not use all: any, by a hash of seed and row; balanced: as many of"
        " each cluster of questions, as far as it has them; damage: the likelier, the more the arm `probe` has"
        " forgotten of the answer",
    )
    probe: str | None = Field(
        None, description="for `draw: damage`: an arm without rehearsal, such as a short run on the domain alone"
    )
    clusters: int = Field(100, ge=2, description="number of clusters of questions, for `draw: balanced`")
    contamination: Literal["reject", "report"] | None = Field(
        None,
        description="rows in which a turn of the user holds an item of a suite or benchmark: reject drops them, report"
        " keeps and lists them unless the turn is the item word for word; null: report for the file that sets the size"
        " of an arm, else reject",
    )
    licence: str | None = Field(None, description="SPDX identifier or name")
    policy: list[str] = Field([], description="tags of what the licence allows, compared with `policy.require`")

    @model_validator(mode="after")
    def _one_origin(self) -> "Source":
        if (self.path is None) == (self.selection is None):
            raise ValueError("set either path or selection")
        if any(not 0 < share < float("inf") for share in self.slices.values()):
            raise ValueError("the shares of slices must be above 0; leave a slice out instead")
        if self.draw == "uniform" and "clusters" in self.model_fields_set:
            raise ValueError("clusters has no effect without draw: balanced; set it, or remove clusters")
        if (self.draw == "damage") != (self.probe is not None):
            raise ValueError("draw: damage and probe need each other; set both or neither")
        if self.draw == "damage" and self.selection is None:
            raise ValueError("draw: damage needs a selection: only its answers are probed")
        return self

    @property
    def data(self) -> str:
        """The file or folder that holds the rows."""
        return self.path or f"data/filter/{self.selection}.parquet"


def probe_files(source: Source) -> list[str]:
    """For `draw: damage`: the log-probabilities of the source's answers by the base model and by the arm `probe`."""
    models = ["base", source.probe] if source.probe is not None else []
    return [f"data/probe/{source.selection}/{model}.parquet" for model in models]


REHEARSAL = {"selection": "selected"}  # the source `rehearsal`, unless params.yaml defines it
