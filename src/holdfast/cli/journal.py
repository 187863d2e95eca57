"""`holdfast journal`: which models' answers are kept, and how to remove those that no build needs."""

import json
from argparse import Namespace
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.common.errors import UserError
from holdfast.common.locks import locked, open_lock, try_lock
from holdfast.common.run_names import run_names
from holdfast.common.section import load, read, value
from holdfast.common.wording import counted
from holdfast.inference.fingerprint import fingerprint
from holdfast.inference.journal import ROOT
from holdfast.inference.journal_files import read_chunk, read_tail
from holdfast.inference.params import Model
from holdfast.params.sweeps import with_sweeps


class ModelAnswers(NamedTuple):
    """One model's folder in the journal."""

    folder: Path
    name: str  # of the model in params.yaml when it was asked
    path: str
    rows: int
    bytes: int
    last_used: datetime
    stale: bool  # no model of params.yaml has this fingerprint now


def command(subparsers: Any) -> None:
    """Add `journal` to the command line."""
    about = "list the models whose answers are kept in .holdfast/journal, or remove answers (prune)"
    parser = subparsers.add_parser("journal", help=about, description=about)
    parser.set_defaults(run=lambda _: print(table(model_answers())))
    actions = parser.add_subparsers(metavar="[prune]")
    removes = "remove the kept answers of models; a later build requests those that it needs again"
    prune_parser = actions.add_parser("prune", help=removes, description=removes)
    prune_parser.add_argument(
        "names", nargs="*", metavar="MODEL", help="names of models as `holdfast journal` lists them"
    )
    prune_parser.add_argument(
        "--stale",
        action="store_true",
        help="remove the answers of models that are no longer in params.yaml, or whose files or settings changed since",
    )
    prune_parser.set_defaults(run=prune)


def model_answers() -> list[ModelAnswers]:
    """The journal's folders, the largest first. Raises UserError when params.yaml cannot be read."""
    found = []
    live, unknown = live_fingerprints()
    for folder in (path for path in ROOT.glob("*") if path.is_dir()):
        files = [path for path in folder.iterdir() if path.is_file() and path.suffix != ".lock"]
        if not files:
            continue  # pruned
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
        size, used = sum(p.stat().st_size for p in files), max(p.stat().st_mtime for p in files)
        stale = folder.name not in live and about["path"] not in unknown
        found.append(
            ModelAnswers(folder, about["name"], about["path"], rows, size, datetime.fromtimestamp(used), stale)
        )
    return sorted(found, key=lambda model: (-model.bytes, model.folder))


def live_fingerprints() -> tuple[set[str], set[str]]:
    """The fingerprints that jobs of params.yaml look up answers by, and the paths of models without one at the moment.

    A model has none while its folder is yet to be built or pulled, or its commit is not known offline.
    """
    live, unknown = set(), set()
    for name, model in asked_models():
        try:
            found = fingerprint(name, model, online=False)
        except UserError:
            found = ""
        if found:
            live.add(found)
        else:
            unknown.add(model.path)
    return live, unknown


def asked_models() -> Iterator[tuple[str, Model]]:
    """Every model that a job of params.yaml may ask, by name, with the settings with which it is asked."""
    values = load()
    for name in values.get("models") or {}:
        yield name, read("models", f"models.{name}", Model)
    base = read("models", f"models.{value('base', 'base')}", Model)
    yield "base", base.without_template()  # reconstruct
    for run in run_names(sorted(with_sweeps(values).get("arms") or {}), values.get("training_seeds", 1)):
        yield run, base.trained(f"models/{run}")  # evaluate


def table(found: list[ModelAnswers]) -> str:
    """The journal's models as lines of text."""
    if not found:
        return f"{ROOT} is empty"
    lines = [f"{'model':<20} {'rows':>10} {'MB':>9}  last used   path"]
    for model in found:
        note = " (stale: `holdfast journal prune --stale` removes it)" if model.stale else ""
        size = f"{model.bytes / 1e6:,.1f}"
        lines.append(f"{model.name:<20} {model.rows:>10,} {size:>9}  {model.last_used:%Y-%m-%d}  {model.path}{note}")
    return "\n".join(lines)


def prune(arguments: Namespace) -> None:
    """Remove answers. Raises UserError when no model is named, a name is unknown, or a job is using the answers."""
    found = model_answers()
    unknown = set(arguments.names) - {model.name for model in found}
    if unknown:
        raise UserError(f"the journal has no model {sorted(unknown)[0]}; `holdfast journal` lists the models it has")
    if not arguments.names and not arguments.stale:
        raise UserError("name the models whose answers are to be removed, or add --stale")
    chosen = [model for model in found if model.name in arguments.names or (arguments.stale and model.stale)]
    if not chosen:
        print("no stale answers")
    for model in chosen:
        # the lock files stay: a job that is waiting for one must not get the lock of a deleted file
        with locked(model.folder / "seal.lock"), open_lock(model.folder / "use.lock") as use:
            if not try_lock(use):
                raise UserError(f"a job is using the answers of {model.name}; run the command again when it has ended")
            for path in model.folder.iterdir():
                if path.is_file() and path.suffix != ".lock":
                    path.unlink()
        print(f"removed {counted(model.rows, 'row')} of {model.name} ({model.path})")
