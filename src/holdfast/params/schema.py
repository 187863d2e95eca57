"""All sections of params.yaml as one schema."""

from typing import Annotated

from pydantic import Field

from holdfast.common.section import Section
from holdfast.inference.params import Model
from holdfast.params.policy import Policy
from holdfast.sandbox.params import Sandbox
from holdfast.steps.clean.params import Clean
from holdfast.steps.evaluate.params import Evaluate
from holdfast.steps.filter.params import Selection
from holdfast.steps.generate.params import Generate
from holdfast.steps.mix.params import Arm, Mix, Source
from holdfast.steps.reconstruct.params import Reconstruct
from holdfast.steps.report.params import Report
from holdfast.steps.score.params import Score
from holdfast.steps.seed.params import Seed
from holdfast.steps.train.params import Train

NAME = r"^[a-z0-9_]+$"
FILE_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"
Name = Annotated[str, Field(pattern=NAME)]
RESERVED = {"base", "sandbox", "summary", "clean", "filter"}  # as arms they would share files with these


class Environments(Section):
    """Which pinned package list of envs/ each kind of step runs in."""

    inference: str = Field("inference", pattern=FILE_NAME, description="inference-gpu for the CUDA build")
    training: str = Field("training", pattern=FILE_NAME, description="training-gpu for the CUDA build")


class Params(Section):
    """params.yaml."""

    random_seed: int = Field(ge=0, description="every random choice follows from it")
    base: str = Field(description="which of `models` is fine-tuned")
    environments: Environments = Field(Environments(), description="package lists in envs/")
    models: dict[Name, Model] = Field(min_length=1, description="every model in use, by name")
    policy: Policy = Field(Policy(), description="what licences must allow")
    seed: Seed = Field(description="what the base model sees before it writes")
    reconstruct: Reconstruct = Field(Reconstruct(), description="how instructions are drawn")
    clean: Clean = Field(Clean(), description="which samples are rejected")
    generate: Generate = Field(description="how the committee answers")
    score: Score = Field(description="how answers are judged")
    filter: dict[Name, Selection] = Field(description="selections of answers, by name; `selected` is the main one")
    mix: Mix = Field(description="what all mixtures share")
    sources: dict[Name, Source] = Field({}, description="data sets of the user's own, by name")
    arms: dict[Name, Arm] = Field(min_length=1, description="training experiments, by name")
    train: Train = Field(description="how every arm is fine-tuned")
    training_seeds: int = Field(1, ge=1, description="how often each arm is trained, each time with another seed")
    evaluate: Evaluate = Field(description="what is measured")
    report: Report = Field(description="what is concluded")
    sandbox: Sandbox | None = Field(None, description="the small world that is built when its files are named above")
