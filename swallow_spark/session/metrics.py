"""Metrics of a run: Spark's own metrics of each stage, and figures for Prometheus while it runs."""

import time
from collections.abc import Callable
from http.client import HTTPException
from typing import Any, Final
from urllib.error import URLError

from prometheus_client import CollectorRegistry, Gauge, push_to_gateway, write_to_textfile
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

_SECONDS_BETWEEN_EXPORTS: Final = 10.0
_LONGEST_WAIT_MILLISECONDS: Final = 10_000
_SUMMED: Final = {  # key of a stage's resources -> getter of Spark's StageData, and its unit
    "jvm_cpu_seconds": ("executorCpuTime", 1e-9),
    "task_seconds": ("executorRunTime", 1e-3),
    "input_bytes": ("inputBytes", 1),
    "shuffle_read_bytes": ("shuffleReadBytes", 1),
    "shuffle_write_bytes": ("shuffleWriteBytes", 1),
    "spilled_memory_bytes": ("memoryBytesSpilled", 1),
    "spilled_disk_bytes": ("diskBytesSpilled", 1),
    "tasks": ("numCompleteTasks", 1),
    "failed_tasks": ("numFailedTasks", 1),
}


class SparkMetrics:
    """Sums of Spark's metrics of its stages between two calls.

    Spark keeps the last `spark.ui.retainedStages` (1,000) stages: earlier ones since the last call are not counted.
    """

    def __init__(self, spark: SparkSession) -> None:
        context: Any = spark.sparkContext
        self._bus = context._jsc.sc().listenerBus()
        self._store = context._jsc.sc().statusStore()
        self._gateway = context._gateway
        self._last = max((stage.stageId() for stage in self._stages(lambda view: view.reverse().max(1))), default=-1)

    def since_last(self) -> dict[str, float]:
        """The sums over the stages that ran since the last call, and `skew`: the longest task's time divided by the
        median of its stage, over stages with several tasks.

        Spark counts a task by an event, some milliseconds after the task's end. This waits for the events for up to 10
        seconds; later ones may be missing from the sums.
        """
        self._wait_for_events()
        ran = self._stages(lambda view: view.first(self._last + 1))
        self._last = max((stage.stageId() for stage in ran), default=self._last)
        sums = {key: sum(getattr(stage, name)() for stage in ran) * unit for key, (name, unit) in _SUMMED.items()}
        longest, sums["skew"] = 0.0, 1.0
        quantiles = self._gateway.new_array(self._gateway.jvm.double, 2)
        quantiles[0], quantiles[1] = 0.5, 1.0
        for stage in ran:
            if stage.numCompleteTasks() > 1:
                found = self._store.taskSummary(stage.stageId(), stage.attemptId(), quantiles)
                times = found.get().executorRunTime() if found.isDefined() else None
                if times and times.apply(1) > longest:
                    longest, sums["skew"] = times.apply(1), times.apply(1) / max(times.apply(0), 1.0)
        return {key: round(value, 3) if isinstance(value, float) else value for key, value in sums.items()}

    def _wait_for_events(self) -> None:
        try:
            self._bus.waitUntilEmpty(_LONGEST_WAIT_MILLISECONDS)
        except Py4JJavaError as error:  # incomplete sums are no reason to fail a run
            if error.java_exception.getClass().getName() != "java.util.concurrent.TimeoutException":
                raise

    def _stages(self, chosen: Callable[[Any], Any]) -> list[Any]:
        """Stages, of a view in the order of their ids. `stageList` would take time by the square of their number."""
        kind = self._gateway.jvm.java.lang.Class.forName("org.apache.spark.status.StageDataWrapper")
        return [found.info() for found in chosen(self._store.store().view(kind).index("stageId")).iterator()]


class Exporter:
    """Exports figures of the running stage to a file in Prometheus's text format, a Pushgateway, or both. A failure
    doesn't stop the run: `problem` holds it."""

    def __init__(self, file: str | None, url: str | None, command: str) -> None:
        self._file, self._url = file, url
        self._registry = CollectorRegistry()
        names = {
            "stage_seconds": "Wall seconds of the stage so far",
            "files_done": "Input files that the stage has finished",
            "files": "Input files of the stage",
            "pages": "Pages that the stage has found so far",
            "tasks_done": "Finished tasks of Spark's running stages",
            "tasks": "Tasks of Spark's running stages",
            "run_failed": "1 if the run has failed",
            "run_finished_timestamp_seconds": "When the run ended",
        }
        self._gauges = {
            name: Gauge(f"swallow_spark_{name}", text, ["command", "stage"], registry=self._registry)
            for name, text in names.items()
        }
        self._command = command
        self._last = 0.0
        self.problem: str | None = None

    def tell(self, stage: str, figures: dict[str, float], *, now: bool = False) -> None:
        """Sets figures of a stage, and exports them `now`, or if the last export was some seconds ago."""
        if not (self._file or self._url):
            return
        for name, value in figures.items():
            self._gauges[name].labels(self._command, stage).set(value)
        if not now and time.monotonic() - self._last < _SECONDS_BETWEEN_EXPORTS:
            return
        self._last = time.monotonic()
        try:
            if self._file:
                write_to_textfile(self._file, self._registry)
            if self._url:
                push_to_gateway(self._url, job="swallow_spark", registry=self._registry, timeout=5)
        except (OSError, URLError, HTTPException) as error:
            self.problem = f"metrics can't be written: {error}"
