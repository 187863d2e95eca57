"""All of params.yaml at once: every fault in one go, before anything runs."""

from holdfast.params import section


def validate(path: str = section.PARAMS_FILE) -> None:
    """Check the whole file. Raises UserError with one line per fault."""
    section.load(path)
