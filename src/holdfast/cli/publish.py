"""`holdfast publish`: an arm's mixture and its card to a dataset repository on the Hugging Face hub."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from holdfast.build import staleness
from holdfast.build.stages import downstream, makers
from holdfast.cli.hub_repository import Content, Repository, address, check_name, look, upload
from holdfast.cli.published_card import front_matter, published_card
from holdfast.common.errors import UserError
from holdfast.common.files import read_json
from holdfast.common.wording import counted
from holdfast.params.cross_checks import nearest
from holdfast.params.schema import Params
from holdfast.params.validation import validate

DATA = {"train.jsonl": "train_rows", "val.jsonl": "val_rows", "train.parquet": "train_rows", "val.parquet": "val_rows"}


def command(subparsers: Any) -> None:
    """Add `publish` to the command line."""
    about = "upload an arm's mixture and its card to a Hugging Face dataset repository; without --yes only say what"
    parser = subparsers.add_parser("publish", help=about)
    parser.add_argument("arm", metavar="ARM", help="the arm whose mixture is published")
    parser.add_argument("repository", metavar="REPO", help="OWNER/NAME; created if there is none")
    parser.add_argument("--public", action="store_true", help="make the new repository public (default: private)")
    parser.add_argument("--yes", action="store_true", help="upload")
    parser.set_defaults(run=main)


def main(arguments: argparse.Namespace, console: Console | None = None) -> None:
    """Show what would be uploaded, or upload it. Raises UserError with the repair when that is not possible."""
    console = console or Console(highlight=False, markup=False)
    arm, repository, public = arguments.arm, arguments.repository, arguments.public
    check_name(repository)
    params = validate()
    check_current(arm, params)
    summary = read_json(Path("data/mix", arm, "summary.json"))
    files = contents(arm, repository, summary, params)
    try:
        found = look(repository, files)
        check_visibility(repository, found, public)
    except UserError as error:
        if arguments.yes:
            raise
        show(console, arm, repository, public, None, files, summary, params)
        console.print(f"\nBefore you upload: {error}", soft_wrap=True)
    else:
        if not arguments.yes:
            show(console, arm, repository, public, found, files, summary, params)
    if not arguments.yes:
        again = " ".join(["holdfast publish", arm, repository, *["--public"] * public, "--yes"])
        console.print(f"\nNothing has been uploaded. To upload: {again}", soft_wrap=True)
    elif set(found.states.values()) == {"unchanged"}:
        console.print(f"Nothing to upload: {address(repository)} has this mixture already.", soft_wrap=True)
    else:
        rows = f"{counted(summary['train_rows'], 'row')} to train on, {summary['val_rows']:,} to validate with"
        commit = upload(repository, found, files, public, f"Mixture {arm}: {rows}")
        console.print(f"Published ({'public' if public else 'private'}): {address(repository)}", soft_wrap=True)
        console.print(f"Commit: {commit}", soft_wrap=True)


def check_current(arm: str, params: Params) -> None:
    """Raises UserError when the arm's mixture is not built, or not from today's parameters, data and code."""
    if arm not in params.arms:
        raise UserError(f"params.yaml: has no arm {arm}{nearest(arm, params.arms)}")
    path = f"data/mix/{arm}/train.jsonl"
    versions, changes = staleness.look()
    stage = makers(versions.stages).get(path)
    if stage is None:
        raise UserError(f"arm {arm} has no mixture of its own ({path}); publish the mixture of another arm")
    if stage in downstream(versions.stages, changes):
        fault = "is out of date (`holdfast plan` says why)" if Path(path).exists() else "is not built yet"
        raise UserError(f"{path}: {fault}; build it with `snakemake --cores all {path}`")


def check_visibility(repository: str, found: Repository, public: bool) -> None:
    """Raises UserError when the repository exists and is public though --public was not given, or the reverse."""
    if found.private is False and not public:
        raise UserError(f"{repository} is public already: add --public, or name another repository")
    if found.private is True and public:
        raise UserError(
            f"{repository} exists and is private: leave --public out, or make it public at"
            f" {address(repository)}/settings"
        )


def contents(arm: str, repository: str, summary: Any, params: Params) -> dict[str, Content]:
    """The files of the repository: name, and path or content."""
    folder = Path("data/mix", arm)
    licences = {licence for source in summary["sources"] for licence in source["licences"]}
    paths = [summary["base"], *(source.path for source in params.sources.values() if source.path)]
    card = published_card((folder / "README.md").read_text(encoding="utf-8"), repository, licences, paths)
    return {"README.md": card.encode(), **{name: str(folder / name) for name in DATA}}


def show(
    console: Console, arm: str, repository: str, public: bool, found: Repository | None, files: dict[str, Content],
    summary: Any, params: Params,
) -> None:  # fmt: skip
    """Print what would be uploaded and where, the licences of what is in it, and the card's YAML."""
    where = ["new"] if found and found.private is None else []
    where += ["public" if public else "private", *([f"as user {found.user}"] if found else [])]
    console.print(f"Mixture {arm} → {address(repository)} ({', '.join(where)})", soft_wrap=True)
    grid = table("file", "size", "rows", "on the hub" if found else "")
    for name, content in files.items():
        size = len(content) if isinstance(content, bytes) else Path(content).stat().st_size
        count = f"{summary[DATA[name]]:,}" if name in DATA else ""
        grid.add_row(name, size_text(size), count, found.states[name] if found else "")
    console.print("", grid, "")
    grid = table("what is in it", "rows", "licence", "policy tags")
    lacking = []
    for key, what, rows, tagged in parts(summary, params):
        grid.add_row(
            what, f"{rows:,}" if rows else "", tagged.licence or "not given", ", ".join(tagged.policy) or "none"
        )
        if tagged.licence is None:
            lacking.append(key)
    console.print(grid)
    asked = ", ".join(params.policy.require)
    console.print(
        f"policy.require: {asked}: all have it" if asked else "policy.require is empty: no tags were checked",
        soft_wrap=True,
    )
    if lacking:
        keys = ", ".join(f"{key}.licence" for key in lacking)
        console.print(f"No licence is given: set {keys} in params.yaml", soft_wrap=True)
    console.print("\nThe card's front matter:")
    card = files["README.md"]
    assert isinstance(card, bytes)
    console.print("\n".join(f"  {line}" for line in front_matter(card.decode()).splitlines()), soft_wrap=True)


def parts(summary: Any, params: Params) -> Iterator[tuple[str, str, int, Any]]:
    """Each source and model behind the rows: key in params.yaml, what it is, rows, and its section with the licence."""
    rows: dict[str, int] = {}
    written: dict[str, int] = {}
    for found in summary["sources"]:
        rows[found["source"]] = rows.get(found["source"], 0) + found["train_rows"] + found["val_rows"]
        for model, count in found["models"].items():
            written[model] = written.get(model, 0) + count
    for name in rows:
        if name in params.sources and params.sources[name].path:
            yield f"sources.{name}", f"source {name}", rows[name], params.sources[name]
    if any(name not in params.sources or params.sources[name].selection for name in rows):
        roles: dict[str, list[str]] = {params.base: ["wrote the instructions"]}
        for name in params.generate.models:
            roles.setdefault(name, []).append("answers")
        for name in params.score.judges:
            roles.setdefault(name, []).append("judge")
        for name, did in roles.items():
            yield f"models.{name}", f"model {name} ({', '.join(did)})", written.get(name, 0), params.models[name]


def table(*headings: str) -> Table:
    """A table without rules, with numbers on the right."""
    grid = Table(box=None, pad_edge=False)
    for heading in headings:
        grid.add_column(heading, justify="right" if heading in ("size", "rows") else "left", overflow="fold")
    return grid


def size_text(size: int) -> str:
    """A size in bytes, for people: 812 B, 3.8 kB, 1.2 GB."""
    if size < 1000:
        return f"{size} B"
    number, unit = size / 1000, "kB"
    for larger in ("MB", "GB"):
        if number >= 1000:
            number, unit = number / 1000, larger
    return f"{number:.1f} {unit}"
