"""Progress on standard error: a live line on a terminal, a line now and then in a log."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pyspark.sql import SparkSession
from rich.console import Console

_SECONDS_BETWEEN_LOG_LINES = 15.0


@dataclass(frozen=True)
class Ticker:
    """Counts files and pages inside tasks; Spark adds them up on the driver as tasks end."""

    files: Any
    pages: Any

    def __call__(self, files: int, pages: int) -> None:
        self.files.add(files)
        self.pages.add(pages)


class Progress:
    """Tells how far the run is. `seconds` gets each stage's wall seconds, for the run's manifest.

    The session is opened when the first stage has work, so a run that finds all done is quick.
    """

    def __init__(self, session: Callable[[], SparkSession], console: Console | None = None) -> None:
        self._session = session
        self.console = console or Console(file=sys.stderr, highlight=False)
        self.seconds: dict[str, float] = {}

    @cached_property
    def spark(self) -> SparkSession:
        return self._session()

    def say(self, message: str) -> None:
        self.console.print(message, markup=False)

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Ticker]:
        """Shows the progress of a stage: of `total` files where given, else of Spark's tasks."""
        context = self.spark.sparkContext
        ticker = Ticker(context.accumulator(0), context.accumulator(0))
        started = time.monotonic()
        ended = threading.Event()

        def line() -> str:
            elapsed = time.monotonic() - started
            if total is None:
                return f"{name}: {self._tasks()}, {_duration(elapsed)}"
            done, pages = ticker.files.value, ticker.pages.value
            left = f"{_duration(elapsed / done * (total - done))} left" if done else "time left not known yet"
            return f"{name}: {done} of {total} files, {pages:,} pages, {pages / elapsed:,.0f} pages/s, {left}"

        def watch() -> None:
            if self.console.is_terminal:
                with self.console.status(line()) as status:
                    while not ended.wait(0.5):
                        status.update(line())
            else:
                while not ended.wait(_SECONDS_BETWEEN_LOG_LINES):
                    self.say(line())

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield ticker
        finally:
            ended.set()
            watcher.join()
            elapsed = time.monotonic() - started
            self.seconds[name] = round(self.seconds.get(name, 0.0) + elapsed, 3)

    def _tasks(self) -> str:
        tracker = self.spark.sparkContext.statusTracker()
        infos = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
        known = [info for info in infos if info]
        return f"{sum(i.numCompletedTasks for i in known)} of {sum(i.numTasks for i in known)} tasks"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
