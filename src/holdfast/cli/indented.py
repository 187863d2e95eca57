"""Text with an indent: wrapped for a terminal, and line by line as it is for a pipe."""

import textwrap

from rich.console import Console
from rich.padding import Padding
from rich.text import Text


def print_indented(console: Console, text: object, indent: int = 2) -> None:
    """Print `text`, indented by so many spaces."""
    if console.is_terminal:
        console.print(Padding(Text(str(text)), (0, 0, 0, indent)))
    else:
        console.print(Text(textwrap.indent(str(text), " " * indent)), soft_wrap=True)
