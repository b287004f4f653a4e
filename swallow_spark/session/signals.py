"""Signals that stop a run."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """In this block SIGINT and SIGTERM raise KeyboardInterrupt, which frees locks. Yields an event that is then set.
    Has no effect outside the main thread, which alone handles signals."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return

    def stop(number: int, frame: FrameType | None) -> None:
        # Ctrl-C and the end of the JVM signal twice: ignore the second. Not by SIG_IGN, which children would inherit.
        signal.signal(signal.SIGTERM, lambda *_: None)
        stopped.set()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)  # None: not set by Python
