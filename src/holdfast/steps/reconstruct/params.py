"""Parameters of the step reconstruct: `reconstruct`."""

from pydantic import Field

from holdfast.common.section import Section
from holdfast.inference.params import Sampling


class MultiTurn(Section):
    """Conversations: the base model answers an instruction and writes the user's next turn."""

    share: float = Field(0.0, ge=0, le=1, description="share of the samples that become conversations")
    max_turns: int = Field(3, ge=2, le=5, description="most turns of the user; the number is drawn from 2 up to this")
    answer: Sampling = Field(
        Sampling(temperature=0.7, top_p=0.95, max_tokens=512), description="how the answers in between are drawn"
    )


class Reconstruct(Section):
    """Sampling instructions from the base model."""

    sampling: Sampling = Field(Sampling(temperature=1.0, top_p=0.98, max_tokens=512), description="how they are drawn")
    multi_turn: MultiTurn = Field(MultiTurn(), description="conversations of several turns")
