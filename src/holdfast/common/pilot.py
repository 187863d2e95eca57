"""Where `holdfast pilot` leaves its tables, which `holdfast plan` measures by."""

from pathlib import Path

FOLDER = Path(".holdfast/pilot")


def built_or_piloted(path: str) -> Path | None:
    """The file of the last build, else of the last pilot; None where there is neither."""
    return next((found for found in (Path(path), FOLDER / path) if found.exists()), None)
