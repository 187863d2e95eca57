"""All sections of params.yaml as one schema."""

from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from holdfast.common.section import Section
from holdfast.inference.params import Model
from holdfast.params.policy import Policy
from holdfast.params.sweeps import Sweep
from holdfast.sandbox.params import Sandbox
from holdfast.steps.clean.params import Clean
from holdfast.steps.evaluate.params import Evaluate
from holdfast.steps.filter.params import Selection
from holdfast.steps.generate.params import Generate
from holdfast.steps.merge.params import MergedArm
from holdfast.steps.mix.params import Arm, Mix, Source
from holdfast.steps.preferences.params import Preferences
from holdfast.steps.reconstruct.params import Reconstruct
from holdfast.steps.report.params import Report
from holdfast.steps.score.params import Score
from holdfast.steps.seed.params import Seed
from holdfast.steps.train.dpo.params import AlignedArm, settings_of_aligned
from holdfast.steps.train.params import Train, settings_of_arm

NAME = r"^[a-z0-9_]+$"
FILE_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"
Name = Annotated[str, Field(pattern=NAME)]
RESERVED = {"base", "sandbox", "summary", "clean", "filter"}  # as arms they would share files with these


KINDS_OF_ARMS = ("trained arm", "merged arm", "aligned arm")  # in the place of a fault, and no key


def _kind_of_arm(arm: Any) -> str:
    """By the key that only this kind has; a value that is no arm is checked as one that is trained."""
    marks = {"merge": MergedArm, "preferences": AlignedArm}
    found = [key in arm if isinstance(arm, dict) else isinstance(arm, kind) for key, kind in marks.items()]
    return KINDS_OF_ARMS[found.index(True) + 1 if any(found) else 0]


AnyArm = Annotated[
    Annotated[Arm, Tag(KINDS_OF_ARMS[0])]
    | Annotated[MergedArm, Tag(KINDS_OF_ARMS[1])]
    | Annotated[AlignedArm, Tag(KINDS_OF_ARMS[2])],
    Discriminator(_kind_of_arm),
]


class Environments(Section):
    """The pinned package list in envs/ that each kind of step runs in."""

    inference: str = Field(
        "inference",
        pattern=FILE_NAME,
        description="package list for the steps that use models; inference-gpu for NVIDIA GPUs",
    )
    training: str = Field(
        "training", pattern=FILE_NAME, description="package list for training; training-gpu for NVIDIA GPUs"
    )


class Params(Section):
    """params.yaml."""

    random_seed: int = Field(ge=0, description="seed of every random choice")
    base: str = Field(description="which of `models` is fine-tuned")
    environments: Environments = Field(Environments(), description="package lists in envs/")
    models: dict[Name, Model] = Field(min_length=1, description="every model in use, by name")
    policy: Policy = Field(Policy(), description="what the licences of models and data must allow")
    seed: Seed = Field(description="the prompts from which instructions are sampled, and how many")
    reconstruct: Reconstruct = Field(Reconstruct(), description="how instructions are sampled from the base model")
    clean: Clean = Field(Clean(), description="which samples are rejected")
    generate: Generate = Field(description="the committee, and how it answers")
    score: Score = Field(description="the judges, and how they score answers")
    filter: dict[Name, Selection] = Field(description="selections of answers, by name; the report shows `selected`")
    preferences: Preferences | None = Field(
        None, description="pairs of a preferred and a rejected answer, for DPO; without this section none are written"
    )
    mix: Mix = Field(description="settings of all mixtures")
    sources: dict[Name, Source] = Field({}, description="your own data sets, by name")
    arms: dict[Name, AnyArm] = Field(
        min_length=1,
        description="training experiments (mixtures to fine-tune on, averages, preference training), by name",
    )
    sweeps: dict[Name, Sweep] = Field({}, description="settings of arms in several values, by name")
    train: Train = Field(description="how every arm is fine-tuned")
    training_seeds: int = Field(1, ge=1, description="training runs of each arm, each with another seed")
    evaluate: Evaluate = Field(description="the test suites, and how answers to them are sampled")
    report: Report = Field(description="how arms are compared with the base model, and the limits of `holdfast check`")
    sandbox: Sandbox | None = Field(None, description="the small world that is built if its files are named above")

    @property
    def trained_arms(self) -> dict[str, Arm]:
        """The arms that have a mixture and are trained."""
        return {name: arm for name, arm in self.arms.items() if isinstance(arm, Arm)}

    @property
    def merged_arms(self) -> dict[str, MergedArm]:
        """The arms that are averages of others."""
        return {name: arm for name, arm in self.arms.items() if isinstance(arm, MergedArm)}

    @property
    def aligned_arms(self) -> dict[str, AlignedArm]:
        """The arms that are trained on preference pairs."""
        return {name: arm for name, arm in self.arms.items() if isinstance(arm, AlignedArm)}

    def own_training(self, arm: str) -> dict[str, Any]:
        """`arms.<name>.train`; empty for an average."""
        found = self.arms[arm]
        return {} if isinstance(found, MergedArm) else found.train

    def training_settings(self, arm: str) -> dict[str, Any]:
        """`train` with the arm's own settings, unchecked."""
        shared = self.train.model_dump(exclude_unset=True)
        settings = settings_of_aligned if arm in self.aligned_arms else settings_of_arm
        return settings(shared, self.own_training(arm))

    def training(self, arm: str) -> Train:
        """`train` with the arm's own settings. Raises pydantic's ValidationError where these are not valid."""
        return Train.model_validate(self.training_settings(arm))
