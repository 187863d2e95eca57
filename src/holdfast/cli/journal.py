"""`holdfast journal`: what the journal holds, and how to make it smaller."""

import fcntl
import json
import shutil
from argparse import Namespace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.common.errors import UserError
from holdfast.inference.fingerprint import fingerprint
from holdfast.inference.journal import ROOT
from holdfast.inference.journal_files import read_chunk, read_tail
from holdfast.inference.params import Model


class Shelf(NamedTuple):
    """One model's folder in the journal."""

    folder: Path
    name: str  # of the model in params.yaml when it was asked
    path: str
    rows: int
    bytes: int
    last_used: datetime
    stale: bool  # the model at `path` is another one now, or gone


def command(subparsers: Any) -> None:
    """Add `journal` to the command line."""
    parser = subparsers.add_parser("journal", help="show the finished answers that are kept, or remove some")
    parser.set_defaults(run=lambda _: print(table(shelves())))
    actions = parser.add_subparsers(metavar="")
    prune_parser = actions.add_parser("prune", help="remove models' answers; what is needed again is asked again")
    prune_parser.add_argument(
        "names", nargs="*", metavar="MODEL", help="names of models as `holdfast journal` shows them"
    )
    prune_parser.add_argument("--stale", action="store_true", help="models whose files have changed or gone since")
    prune_parser.set_defaults(run=prune)


def shelves() -> list[Shelf]:
    """The journal's folders, the largest first."""
    found = []
    for folder in (path for path in ROOT.glob("*") if path.is_dir()):
        files = [path for path in folder.iterdir() if path.is_file()]
        rows = 0
        for path in files:
            if path.suffix == ".parquet":
                chunk = read_chunk(path)
                rows += 0 if chunk is None else len(chunk)
            elif path.suffix == ".tail":
                with path.open("rb") as tail:
                    rows += len(read_tail(tail)[0])
        try:
            about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            about = {"name": "?", "path": "?"}
        size, used = sum(p.stat().st_size for p in files), max((p.stat().st_mtime for p in files), default=0.0)
        stale = _stale(folder.name, about)
        found.append(Shelf(folder, about["name"], about["path"], rows, size, datetime.fromtimestamp(used), stale))
    return sorted(found, key=lambda shelf: (-shelf.bytes, shelf.folder))


def table(found: list[Shelf]) -> str:
    """The shelves as lines of text."""
    if not found:
        return f"{ROOT} is empty"
    lines = [f"{'model':<20} {'rows':>10} {'MB':>9}  last used   path"]
    for shelf in found:
        note = " (changed or gone since)" if shelf.stale else ""
        size = f"{shelf.bytes / 1e6:.1f}"
        lines.append(f"{shelf.name:<20} {shelf.rows:>10} {size:>9}  {shelf.last_used:%Y-%m-%d}  {shelf.path}{note}")
    return "\n".join(lines)


def prune(arguments: Namespace) -> None:
    """Remove folders. Raises UserError when nothing was named, a name is unknown, or a job is using the folder."""
    found = shelves()
    unknown = set(arguments.names) - {shelf.name for shelf in found}
    if unknown:
        raise UserError(f"the journal has no model {sorted(unknown)[0]}; `holdfast journal` lists those it has")
    if not arguments.names and not arguments.stale:
        raise UserError("say what to prune: names of models, or --stale")
    for shelf in found:
        if shelf.name in arguments.names or (arguments.stale and shelf.stale):
            with (shelf.folder / "use.lock").open("wb") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise UserError(f"a job is using the answers of {shelf.name}; prune when it has ended") from None
                shutil.rmtree(shelf.folder)
            print(f"removed {shelf.rows} rows of {shelf.name} ({shelf.path})")


def _stale(key: str, about: dict[str, Any]) -> bool:
    try:
        model = Model.model_validate({k: v for k, v in about.items() if k != "name"})
        now = fingerprint(about["name"], model, online=False)
    except ValueError:  # UserError among them: not there, or damaged
        return True
    return now not in ("", key)
