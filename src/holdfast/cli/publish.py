"""`holdfast publish`: an arm's mixture, or preference pairs, with the card to a dataset repository on the Hugging Face
hub."""

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from holdfast.cli.hub_repository import Repository, address, check_name, look, upload
from holdfast.cli.publications import Publication, publication
from holdfast.cli.published_card import front_matter
from holdfast.common.errors import UserError
from holdfast.params.schema import Params
from holdfast.params.validation import validate


def command(subparsers: Any) -> None:
    """Add `publish` to the command line."""
    about = (
        "upload an arm's mixture, or preference pairs, with the card to a Hugging Face dataset repository; without"
        " --yes only say what"
    )
    parser = subparsers.add_parser("publish", help=about)
    parser.add_argument("what", metavar="ARM", help="the arm whose mixture is published, or a file in data/preferences")
    parser.add_argument("repository", metavar="REPO", help="OWNER/NAME; created if there is none")
    parser.add_argument("--public", action="store_true", help="make the new repository public (default: private)")
    parser.add_argument("--yes", action="store_true", help="upload")
    parser.set_defaults(run=main)


def main(arguments: argparse.Namespace) -> None:
    """Show what would be uploaded, or upload it. Raises UserError with the repair when that is not possible."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    check_name(arguments.repository)
    params = validate()
    it = publication(arguments.what, arguments.repository, arguments.public, params)
    if arguments.yes:
        publish(it, console)
    else:
        preview(it, params, console)


def preview(it: Publication, params: Params, console: Console) -> None:
    """Print what would be uploaded, what stands in the way, and the command that uploads it."""
    found, obstacle = None, ""
    try:
        found = look(it.repository, it.files)
        check_visibility(it, found)
    except UserError as error:
        obstacle = f"\nBefore you upload: {error}"
    show(it, found, params, console)
    if found and not obstacle and is_there(found):
        console.print(f"\nNothing to upload: {address(it.repository)} has these files already.")
        return
    if obstacle:
        console.print(obstacle)
    command = ["holdfast publish", it.argument, it.repository, *["--public"] * it.public, "--yes"]
    console.print(f"\nNothing has been uploaded. To upload: {' '.join(command)}")


def publish(it: Publication, console: Console) -> None:
    """Upload what the repository lacks. Raises UserError when the hub refuses or cannot be reached."""
    found = look(it.repository, it.files)
    check_visibility(it, found)
    if is_there(found):
        console.print(f"Nothing to upload: {address(it.repository)} has these files already.")
        return
    commit = upload(it.repository, found, it.files, it.public, f"{it.title}: {it.about}")
    console.print(f"Published ({visibility(it)}): {address(it.repository)}")
    console.print(f"Commit: {commit}")


def visibility(it: Publication) -> str:
    return "public" if it.public else "private"


def is_there(found: Repository) -> bool:
    """Whether the repository has all files as they are."""
    return set(found.states.values()) == {"unchanged"}


def check_visibility(it: Publication, found: Repository) -> None:
    """Raises UserError when the repository exists and is public though --public was not given, or the reverse."""
    if found.private is False and not it.public:
        raise UserError(f"{it.repository} is public already: add --public, or name another repository")
    if found.private is True and it.public:
        raise UserError(
            f"{it.repository} exists and is private: leave --public out, or make it public at"
            f" {address(it.repository)}/settings"
        )


def show(it: Publication, found: Repository | None, params: Params, console: Console) -> None:
    """Print what would be uploaded and where, the licences of what is in it, and the card's YAML."""
    where = ["new"] if found and found.private is None else []
    where += [visibility(it), *([f"as user {found.user}"] if found else [])]
    console.print(f"{it.title} → {address(it.repository)} ({', '.join(where)})")
    grid = table("file", "size", "rows", *["on the hub"] * bool(found))
    for name, content in it.files.items():
        size = len(content) if isinstance(content, bytes) else Path(content).stat().st_size
        count = f"{it.rows[name]:,}" if name in it.rows else ""
        grid.add_row(name, size_text(size), count, *([found.states[name]] if found else []))
    print_table(grid, console)
    grid = table("what is in it", "rows", "licence", "policy tags")
    lacking = []
    for key, what, rows, tagged in it.parts:
        tags = ", ".join(tagged.policy) or "none"
        grid.add_row(what, f"{rows:,}" if rows else "", tagged.licence or "not given", tags)
        if tagged.licence is None:
            lacking.append(f"{key}.licence")
    print_table(grid, console)
    asked = ", ".join(params.policy.require)
    console.print(f"policy.require: {asked}: all have it" if asked else "policy.require is empty: no tags were checked")
    if lacking:
        console.print(f"No licence is given: set {', '.join(lacking)} in params.yaml")
    console.print("\nThe card's front matter:")
    card = it.files["README.md"]
    assert isinstance(card, bytes)
    console.print("\n".join(f"  {line}" for line in front_matter(card.decode()).splitlines()))


def table(*headings: str) -> Table:
    """A table without rules, with numbers on the right."""
    grid = Table(box=None, pad_edge=False)
    for heading in headings:
        grid.add_column(heading, justify="right" if heading in ("size", "rows") else "left", overflow="fold")
    return grid


def print_table(grid: Table, console: Console) -> None:
    """Print it after an empty line, without the spaces that fill its last column."""
    with console.capture() as captured:
        console.print(grid, soft_wrap=False)
    console.print("", *(line.rstrip() for line in captured.get().splitlines()), sep="\n")


def size_text(size: int) -> str:
    """A size in bytes, for people: 812 B, 3.8 kB, 1.2 GB."""
    if size < 1000:
        return f"{size} B"
    number, unit = size / 1000, "kB"
    for larger in ("MB", "GB"):
        if number >= 1000:
            number, unit = number / 1000, larger
    return f"{number:.1f} {unit}"
