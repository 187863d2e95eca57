"""The command `holdfast`; its subcommands are listed in commands.py."""

from holdfast.cli.commands import main

__all__ = ["main"]
