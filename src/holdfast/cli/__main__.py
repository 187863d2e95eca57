"""`python -m holdfast.cli`: the command `holdfast`."""

import sys

from holdfast.cli.commands import main

sys.exit(main())
