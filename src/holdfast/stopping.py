"""Leave with one's parent, and within seconds on SIGTERM and Ctrl-C. Only the standard library is imported."""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

GRACE_S = 8.0


def end_with_parent() -> None:
    """This process gets SIGTERM when its parent dies (Linux), so a killed build leaves no orphan on a GPU."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


@contextmanager
def stopping_cleanly() -> Iterator[None]:
    """Inside, SIGTERM raises SystemExit(143) and SIGINT SystemExit(130), so that engines shut down.

    If the process is still there after GRACE_S (a long step in foreign code), it ends at once: finished rows are safe.
    Outside the main thread this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in (signal.SIGTERM, signal.SIGINT):  # the kernel may say it again: once for each thread of a parent
            signal.signal(each, signal.SIG_IGN)
        print(f"stopped by {signal.Signals(number).name}; finished rows are kept", file=sys.stderr, flush=True)
        raise SystemExit(128 + number)

    def watch(reader: int) -> None:
        while data := os.read(reader, 1):  # Python writes the signal's number here, also while foreign code runs
            if data[0] in (signal.SIGTERM, signal.SIGINT):
                if not ended.wait(GRACE_S):
                    os._exit(128 + data[0])
                return

    ended = threading.Event()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    threading.Thread(target=watch, args=(reader,), daemon=True).start()
    old_wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    old = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(old_wakeup)
        ended.set()
        os.close(writer)  # ends the watcher
