"""Parameters of the step generate: `generate`."""

from pydantic import Field

from holdfast.common.section import Section
from holdfast.inference.params import Sampling, SamplingOverride


class Generate(Section):
    """How often and how each committee model answers an instruction."""

    samples: int = Field(3, ge=1, description="responses of each model to each instruction (the paper's L)")
    sampling: Sampling = Field(Sampling(), description="how responses are drawn, for every model")
    models: dict[str, SamplingOverride] = Field(
        {}, description="the committee: models that answer, each with its own values for keys of `sampling`"
    )
