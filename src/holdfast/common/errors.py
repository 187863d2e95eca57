"""The one exception that users see."""


class UserError(ValueError):
    """Bad input or a failed outside tool: names the file and row, the fault, and the repair.

    `holdfast.step.run` prints it without a traceback and exits with status 1.
    """


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, or its type where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
