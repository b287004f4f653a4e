"""Progress on standard error: a live line on a terminal, a line every 15 seconds in a log; figures for Prometheus."""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal

from pyspark.sql import SparkSession
from rich.console import Console

from swallow_spark.errors import printable
from swallow_spark.session.metrics import Exporter, SparkMetrics

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
    """Shows and records the progress of a run.

    The session is opened when the first stage has work, so a run with nothing to do is quick. For the run's manifest,
    `seconds` gets each stage's wall seconds, and `resources` its metrics (metrics.SparkMetrics).
    """

    def __init__(
        self,
        session: Callable[[], SparkSession],
        console: Console | None = None,
        *,
        log: Literal["text", "json"] = "text",
        run_id: str = "",
        exporter: Exporter | None = None,
    ) -> None:
        self._session = session
        self.console = console or Console(file=sys.stderr, highlight=False)
        self.run_id = run_id
        self._log, self._exporter = log, exporter
        self._starting = 0.0
        self.seconds: dict[str, float] = {}
        self.resources: dict[str, dict[str, float]] = {}

    @cached_property
    def spark(self) -> SparkSession:
        started = time.monotonic()
        session = self._session()
        self._starting = time.monotonic() - started
        return session

    @cached_property
    def _metrics(self) -> SparkMetrics:
        return SparkMetrics(self.spark)

    def say(self, message: str, stage: str | None = None, **figures: Any) -> None:
        """Prints the message; as JSON with time, run, stage and figures."""
        if self._log == "json":
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            entry = {"time": now, "run": self.run_id, "stage": stage, "message": message, **figures}
            self.console.out(json.dumps({k: v for k, v in entry.items() if v is not None}, ensure_ascii=True))
        else:
            self.console.print(printable(message), markup=False, soft_wrap=True)

    def tell_seconds(self) -> None:
        """Prints how long each stage and the start of Spark took, if there was anything to do."""
        stages = ", ".join(f"{stage} {seconds:,.1f} s" for stage, seconds in self.seconds.items())
        if stages:
            self.say(f"Took: {stages} (and {self._starting:,.1f} s to start Spark)", starting=round(self._starting, 3))

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Ticker]:
        """Shows the progress of a stage: of `total` files if given, else of Spark's tasks."""
        context = self.spark.sparkContext
        self._metrics.since_last()  # leaves out what ran between stages
        ticker = Ticker(context.accumulator(0), context.accumulator(0))
        started = time.monotonic()
        ended = threading.Event()

        def figures() -> dict[str, float]:
            elapsed = {"stage_seconds": round(time.monotonic() - started, 3)}
            if total is None:
                done, known = self._tasks()
                return {**elapsed, "tasks_done": done, "tasks": known}
            return {**elapsed, "files_done": ticker.files.value, "files": total, "pages": ticker.pages.value}

        def watch() -> None:
            live = self.console.is_terminal and self._log == "text"
            told = time.monotonic()
            with self.console.status(_line(name, figures())) if live else nullcontext() as status:
                while not ended.wait(0.5):
                    try:
                        now = figures()
                    except Exception:  # noqa: BLE001 - the JVM is gone: the stage itself fails
                        return
                    if self._exporter:
                        self._exporter.tell(name, now)
                    if status:
                        status.update(_line(name, now))
                    elif time.monotonic() - told >= _SECONDS_BETWEEN_LOG_LINES:
                        told = time.monotonic()
                        self.say(_line(name, now), name, **now)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield ticker
        finally:
            ended.set()
            watcher.join()
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.monotonic() - started, 3)
            self._end(name, figures)

    def _end(self, name: str, last: Callable[[], dict[str, float]]) -> None:
        try:
            figures, found = last(), self._metrics.since_last()
        except Exception as error:  # noqa: BLE001 - the JVM is gone: the stage itself has failed
            self.say(f"{name}: Spark's metrics can't be read: {error}", name)
            return
        before = self.resources.get(name, {})
        self.resources[name] = {
            key: max(value, before.get(key, 0)) if key == "skew" else round(value + before.get(key, 0), 3)
            for key, value in found.items()
        }
        if self._exporter:
            self._exporter.tell(name, figures, now=True)
        if self._log == "json":
            self.say(f"{name}: done", name, **{**figures, **found})

    def tell_end(self, *, failed: bool) -> str | None:
        """Exports the last figures for Prometheus; returns the message of an export that failed, or None."""
        if not self._exporter:
            return None
        self._exporter.tell("", {"run_failed": failed, "run_finished_timestamp_seconds": time.time()}, now=True)
        return self._exporter.problem

    def _tasks(self) -> tuple[int, int]:
        tracker = self.spark.sparkContext.statusTracker()
        infos = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
        known = [info for info in infos if info]
        return sum(i.numCompletedTasks for i in known), sum(i.numTasks for i in known)


def _line(name: str, figures: dict[str, float]) -> str:
    elapsed = figures["stage_seconds"]
    if "files" not in figures:
        done, known = figures["tasks_done"], figures["tasks"]
        tasks = f"{done} of {known} tasks, " if known else ""  # there are none between Spark's jobs
        return f"{name}: {tasks}{_duration(elapsed)}"
    finished, total, pages = figures["files_done"], figures["files"], figures["pages"]
    left = f"{_duration(elapsed / finished * (total - finished))} left" if finished else "time left unknown"
    return f"{name}: {finished} of {total} files, {pages:,} pages, {pages / max(elapsed, 0.001):,.0f} pages/s, {left}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
