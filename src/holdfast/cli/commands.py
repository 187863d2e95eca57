"""The subcommands of `holdfast`. A subcommand's module is imported only when it is asked for."""

import argparse
import importlib
import os
import sys
from pathlib import Path

from holdfast.common.errors import UserError

COMMANDS = {  # name: function that adds it to the parser
    "init": "holdfast.cli.init:command",
    "pilot": "holdfast.cli.pilot:command",
    "plan": "holdfast.build.plan:command",
    "dvc": "holdfast.build.dvc_file:command",
    "show": "holdfast.cli.show:command",
    "sample": "holdfast.cli.sample:command",
    "prefix": "holdfast.cli.prefix:command",
    "journal": "holdfast.cli.journal:command",
    "tune": "holdfast.cli.tune:command",
    "check": "holdfast.cli.check:command",
    "summary": "holdfast.cli.summary:command",
    "publish": "holdfast.cli.publish:command",
}


ABOUT = (
    "Inspect the build of a rehearsal dataset: its plan and cost, prompts, journal, results. The build itself is run by"
    " `snakemake --cores all` or `dvc repro`."
)


def main(words: list[str] | None = None) -> int:
    """Run one subcommand in the project's root, wherever below it the user stands."""
    words = sys.argv[1:] if words is None else words
    parser = argparse.ArgumentParser(prog="holdfast", description=ABOUT)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    asked = words[0] if words and words[0] in COMMANDS else None
    try:
        for name in [asked] if asked else COMMANDS:
            module, function = COMMANDS[name].split(":")
            getattr(importlib.import_module(module), function)(subparsers)
        for shown in subparsers._choices_actions:  # `holdfast COMMAND --help` says what `holdfast --help` says of it
            subparsers.choices[shown.dest].description = shown.help
        arguments = parser.parse_args(words)
        os.chdir(root())
        return int(arguments.run(arguments) or 0)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def root() -> Path:
    """The nearest folder, from here upwards, that holds a params.yaml. Raises UserError when there is none."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "params.yaml").is_file():
            return folder
    raise UserError("no params.yaml here or above; run inside the project")
