"""Small files that other processes read while they change. Only the standard library is used here."""

import os
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Write the file anew; a reader finds the old text or the new one, also after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.uname().nodename}.{os.getpid()}")
    with aside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)
