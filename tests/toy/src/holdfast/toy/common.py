"""What the toy steps share: arguments, atomic writing, traces of what ran, and accidents on demand."""

import argparse
import fcntl
import hashlib
import os
import sys
import time
from pathlib import Path


def arguments(*names: str, many: tuple[str, ...] = ()) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--params")
    for name in (*names, *many):
        parser.add_argument(f"--{name}", nargs="+" if name in many else None)
    found = parser.parse_args()
    accident(Path(sys.modules["__main__"].__file__ or "").stem)
    return found


def accident(step: str) -> None:
    """Leave a trace, and fail or hang when a file outside the project asks for it."""
    folder = os.environ.get("TOY_FOLDER")
    if folder:
        with Path(folder, "ran").open("a") as file:
            file.write(step + "\n")
        alone = os.open(Path(folder, f"alone-{digest(sys.argv)}"), os.O_RDWR | os.O_CREAT)  # open until the end
        try:
            fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # the same job runs beside this one
            Path(folder, "twice").write_text(f"{sys.argv}\n")
        if Path(folder, f"fail-{step}").exists():
            raise SystemExit(f"{step}: failed on demand")
        if (slow := Path(folder, "slow")).exists():
            time.sleep(float(slow.read_text()))
        while Path(folder, f"hang-{step}").exists():
            time.sleep(0.05)


def digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def write(path: str, lines: list[str]) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    aside = Path(path + ".part")
    aside.write_text("".join(line + "\n" for line in lines))
    os.replace(aside, path)
