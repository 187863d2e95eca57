"""Parameters of the sandbox: `sandbox`."""

from typing import Literal

from pydantic import Field

from holdfast.common.section import Section


class World(Section):
    """How much is drawn from the closed world."""

    conversations: int = Field(30_000, ge=1, description="conversations that the models are aligned on, in rows")
    judgements: int = Field(10_000, ge=0, description="judged answers that the models are aligned on, in rows")
    test_share: float = Field(
        0.2, gt=0, le=0.25, description="share of each task's instructions kept for the general suite"
    )
    test_rows_per_task: int = Field(40, ge=1, description="at most so many of each task, in rows")
    domain_rows: int = Field(240, ge=1, description="rows of the domain's training data")
    domain_test_rows: int = Field(150, ge=1, description="rows of the domain suite")
    public_rows: int = Field(1500, ge=1, description="rows of the public set")


class Small(Section):
    """One small model and how long it is trained."""

    layers: int = Field(3, ge=1, le=16, description="transformer layers")
    width: int = Field(128, ge=32, le=512, multiple_of=32, description="hidden size")
    steps: int = Field(600, ge=1, description="optimiser steps")
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
    models: dict[str, Small] = Field({}, description="the models to train, by their folder's name under models/sandbox")
