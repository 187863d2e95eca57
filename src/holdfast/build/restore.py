"""Put the outputs of an equal earlier job in place, where the job runs: `python -m holdfast.build.restore STAGE`."""

import sys

from holdfast.build import job_files
from holdfast.build.versions import Versions
from holdfast.common.errors import UserError


def main(stage: str) -> int:
    """Exit status 1 after a message when the outputs cannot be restored."""
    order = job_files.read_order(stage)
    assert order is not None
    assert order.earlier is not None
    try:
        Versions().restore(stage, order.earlier)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
