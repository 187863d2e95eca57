"""What every step's `main` shares: arguments, errors without tracebacks, and not outliving its parent."""

import argparse
import sys
from collections.abc import Callable

from holdfast.common.errors import UserError
from holdfast.common.processes import end_with_parent


def arguments(description: str | None, *names: str, many: tuple[str, ...] = ()) -> argparse.Namespace:
    """Parse `--params KEY,KEY` and one required `--name VALUE` per name (`--name VALUE…` for those in `many`)."""
    parser = argparse.ArgumentParser(description=description)
    keys = "the keys of params.yaml that this job reads, comma-separated; may be none"
    parser.add_argument("--params", required=True, nargs="?", const="", help=keys)
    for name in (*names, *many):
        parser.add_argument(f"--{name.replace('_', '-')}", required=True, nargs="*" if name in many else None)
    return parser.parse_args()


def run(main: Callable[[], None]) -> None:
    """Run a step's `main`, not outliving the parent; a UserError becomes one message and exit status 1."""
    end_with_parent()
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
