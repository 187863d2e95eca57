"""Parameters of the mix room: `mix`, shared by all arms."""

from typing import Literal

from pydantic import Field

from holdfast.errors import UserError
from holdfast.params.arms import Arm
from holdfast.params.section import Section


class Mix(Section):
    """What every mixture does alike."""

    whole: str = Field("domain", description="the source that an arm without a budget uses whole, if it has it")
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


def used_whole(name: str, arm: Arm, mix: Mix) -> str | None:
    """The source that sets the size of the mixture; None where a budget does. Raises UserError where nothing does."""
    if arm.budget is not None:
        if arm.whole is not None:
            raise UserError(f"params.yaml: arms.{name}: budget and whole both set the size; keep one")
        return None
    whole = arm.whole or (next(iter(arm.sources)) if len(arm.sources) == 1 else mix.whole)
    if whole not in arm.sources:
        raise UserError(
            f"params.yaml: arms.{name}: nothing sets its size: it has no source {whole!r} to use whole;"
            f" set arms.{name}.whole to one of {', '.join(arm.sources)}, or a budget"
        )
    return whole
