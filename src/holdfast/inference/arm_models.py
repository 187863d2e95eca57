"""The model of an arm: the base model itself, or one trained from it."""

from pathlib import Path

from holdfast.common.errors import UserError
from holdfast.common.section import value
from holdfast.inference.fingerprint import read_model
from holdfast.inference.model_files import pinned
from holdfast.inference.params import Model


def read_arm_model(declared: str, path: str) -> Model:
    """The base model, at its commit, where `path` is its path; else the arm at `path`, under the base model's settings.

    Raises UserError when an arm is an adapter or incomplete.
    """
    base = value(declared, "base")
    model = read_model(declared, base)
    if path == model.path:
        return pinned(base, model)
    if not (Path(path) / "config.json").exists():
        raise UserError(
            f"{path}: is not a complete model (it has no config.json); an adapter must be merged (train.merge: true)"
        )
    return model.trained(path)
