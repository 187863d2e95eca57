"""The one exception that users see."""


class UserError(ValueError):
    """Bad input or a failed outside tool: names the file and row, the fault, and the repair.

    `holdfast.step.run` prints it without a traceback and exits with status 1.
    """
