"""The toy chain's parameters are checked by hand."""

from holdfast.errors import UserError
from holdfast.params import section


def validate(path: str = section.PARAMS_FILE) -> None:
    if section.load(path)["reconstruct"]["samples"] < 1:
        raise UserError(f"{path}: reconstruct.samples: must be at least 1")
