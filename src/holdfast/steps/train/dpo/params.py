"""Parameters of arms that are trained on preference pairs: `arms.<name>.preferences`, and their `train`."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from holdfast.common.section import Section
from holdfast.steps.train.params import settings_of_arm

_NEEDED = ("learning_rate", "budget")  # those in `train` are chosen for fine-tuning
_OF_FINE_TUNING = (*_NEEDED, "packing", "evals", "config")  # settings of `train` that these arms do not take over


class PreferenceTraining(Section):
    """Where an arm starts from, and which pairs it is trained on."""

    arm: str = Field(description="the arm whose model it starts from; runs with equal training seeds belong together")
    selection: str = Field(description="the selection whose pairs are used, one of `preferences.selections`")


class AlignedArm(Section):
    """An arm without a mixture of its own: the model of another arm, trained further on preference pairs by DPO
    (Rafailov et al. 2023, arXiv 2305.18290)."""

    preferences: PreferenceTraining = Field(description="the arm that it starts from, and the pairs")
    train: dict[str, Any] = Field(
        {},
        description="its training settings; `learning_rate` and `budget` (steps or epochs over the pairs) have to be"
        " set, others are taken from `train`; `axolotl` and `resources` key by key",
    )

    @model_validator(mode="before")
    @classmethod
    def _one_training(cls, values: Any) -> Any:
        if isinstance(values, dict) and "sources" in values:
            raise ValueError(
                "has both sources and preferences; make two arms: one with the sources, and one whose preferences.arm"
                " names it"
            )
        return values

    @model_validator(mode="after")
    def _train_fits_pairs(self) -> "AlignedArm":
        own, budget = self.train, self.train.get("budget")
        missing = [] if own.get("config") else [key for key in _NEEDED if key not in own]
        if missing:
            raise ValueError(
                f"train lacks {' and '.join(missing)}, which are not taken from `train`, because preference training"
                " takes shorter and slower steps than fine-tuning; a learning rate of a tenth or less and one epoch"
                " are usual"
            )
        if isinstance(budget, dict) and "domain_epochs" in budget:
            raise ValueError(
                "train.budget.domain_epochs counts passes over rows of a source, and pairs are of none; set epochs or"
                " steps"
            )
        if own.get("packing"):
            raise ValueError("train.packing: Axolotl does not pack pairs; remove it")
        if "evals" in own:
            raise ValueError("train.evals has no effect, because no pairs are set aside for validation; remove it")
        return self


def settings_of_aligned(train: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The section `train` as it holds for an arm that is trained on pairs; `own`: `arms.<name>.train`."""
    return settings_of_arm({key: value for key, value in train.items() if key not in _OF_FINE_TUNING}, own)
