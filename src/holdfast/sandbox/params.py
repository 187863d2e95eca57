"""Parameters of the sandbox: `sandbox`."""

from typing import Literal

from pydantic import Field

from holdfast.common.section import Section


class World(Section):
    """How much is drawn from the closed world."""

    conversations: int = Field(24_000, ge=1, description="conversations that the models are aligned on, in rows")
    judgements: int = Field(4_000, ge=0, description="judged answers that the models are aligned on, in rows")
    test_share: float = Field(
        0.25, gt=0, le=0.25, description="share of each task's instructions kept for the general suite"
    )
    test_rows_per_task: int = Field(80, ge=1, description="at most so many of each task, in rows")
    domain_items: int = Field(
        70, ge=1, description="things with a code word: two training rows and two rows of the domain suite for each"
    )
    public_rows: int = Field(1200, ge=1, description="rows of the public set")


class Trunk(Section):
    """The model that all others are trained from."""

    layers: int = Field(2, ge=1, le=16, description="transformer layers")
    width: int = Field(128, ge=32, le=512, multiple_of=32, description="hidden size")
    steps: int = Field(420, ge=1, description="optimiser steps")


class SmallModel(Section):
    """One of the sandbox's models: the trunk, trained further."""

    steps: int = Field(160, ge=1, description="optimiser steps after those of the trunk")
    untaught_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of the world's items that the model is not taught; it guesses these and says so",
    )
    template: Literal["llama3", "chatml"] = Field("llama3", description="the shape of its chat template")


class Sandbox(Section):
    """The small closed world and its models."""

    seed: int = Field(0, ge=0, description="splits, samples and initial weights all follow from it")
    world: World = Field(World(), description="the files of the world")
    vocabulary: int = Field(1600, ge=300, description="tokens of the tokenizer, special ones included")
    trunk: Trunk = Field(Trunk(), description="what the models have in common")
    models: dict[str, SmallModel] = Field(
        {}, description="the models to train, by their folder's name under models/sandbox"
    )
