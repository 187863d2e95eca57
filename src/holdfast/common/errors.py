"""The exception whose message is shown to users."""


class UserError(ValueError):
    """Bad input, or an external tool that failed: names the file and row, the fault, and the repair.

    `holdfast.common.step.run` prints it without a traceback and exits with status 1.
    """


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, or its type where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
