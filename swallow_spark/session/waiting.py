"""Lines that say that something goes on, where there is no session whose progress could be shown."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Final

_FIRST_SECONDS: Final = 5.0
_SECONDS_BETWEEN_LINES: Final = 15.0


@contextmanager
def waiting(say: Callable[[str], None], step: str) -> Iterator[None]:
    """If the block takes more than five seconds, says so, and then every fifteen."""
    ended, started = Event(), time.monotonic()

    def watch() -> None:
        pause = _FIRST_SECONDS
        while not ended.wait(pause):
            say(f"{step}: {time.monotonic() - started:.0f} s so far")
            pause = _SECONDS_BETWEEN_LINES

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
