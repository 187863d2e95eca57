"""The toy chain's parameters are checked by hand."""

from typing import Any

from pydantic import Field

from holdfast.common import section
from holdfast.common.errors import UserError


class Params(section.Section):
    """What `holdfast plan` looks for."""

    models: dict[str, Any] = Field({}, description="none")


def validate(path: str = section.PARAMS_FILE) -> Params:
    if section.load(path)["reconstruct"]["samples"] < 1:
        raise UserError(f"{path}: reconstruct.samples: must be at least 1")
    return Params()
