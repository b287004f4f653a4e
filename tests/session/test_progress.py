"""What a run tells: lines for people or programs, figures for Prometheus, Spark's metrics of each stage."""

import json
import socket
from io import StringIO
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession
from rich.console import Console

from swallow_spark.errors import printable
from swallow_spark.session import progress as module
from swallow_spark.session.metrics import Exporter, SparkMetrics
from swallow_spark.session.progress import Progress


def test_control_characters_are_escaped() -> None:
    assert printable("a\x1b[2Jb\x07\r\x9b\u202e日本　語\n") == "a\\x1b[2Jb\\x07\\r\\x9b\\u202e日本　語\n"


def test_json_lines_have_run_and_stage(spark: SparkSession) -> None:
    out = StringIO()
    progress = Progress(lambda: spark, Console(file=out, width=20), log="json", run_id="r1")
    with progress.stage("annotate", total=3) as tick:
        spark.range(0, 4, 1, 4).foreach(lambda row: tick(1, 10))
    with progress.stage("decide"):  # told by tasks
        spark.range(0, 4, 1, 4).foreach(lambda row: None)
    progress.say("done\x1b[0m")
    entries = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [entry["run"] for entry in entries] == ["r1"] * len(entries)
    *_, end, by_tasks, last = entries
    assert (by_tasks["stage"], by_tasks["tasks"]) == ("decide", 4)
    assert (end["stage"], end["files_done"], end["pages"], end["tasks"]) == ("annotate", 4, 40, 4)
    assert last["message"] == "done\x1b[0m"
    assert "\x1b" not in out.getvalue()


def test_a_stop_is_a_stop_also_where_the_jvm_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Schedulers may send SIGTERM to all processes at once."""
    spark, out = MagicMock(), StringIO()
    spark.sparkContext.statusTracker.side_effect = ConnectionRefusedError
    monkeypatch.setattr(module, "SparkMetrics", MagicMock())
    progress = Progress(lambda: spark, Console(file=out))
    with pytest.raises(KeyboardInterrupt), progress.stage("s"):
        raise KeyboardInterrupt
    assert progress.seconds.keys() == {"s"}
    assert "can't be read" in out.getvalue()


def test_spark_metrics_are_of_what_ran_since_the_last_look(spark: SparkSession) -> None:
    metrics = SparkMetrics(spark)
    spark.range(0, 100_000, 1, 4).repartition(3).selectExpr("sum(id)").collect()
    found = metrics.since_last()
    assert found["tasks"] >= 7
    assert found["shuffle_write_bytes"] > 100_000
    assert found["jvm_cpu_seconds"] > 0
    assert found["skew"] >= 1
    assert metrics.since_last()["tasks"] == 0


def fake_session(bus: MagicMock) -> MagicMock:
    """A session whose one stage has one task, which is counted when the bus has told of it."""
    spark, stage = MagicMock(), MagicMock()
    stage.numCompleteTasks.side_effect = lambda: bus.waitUntilEmpty.call_count
    stage.stageId.return_value = 0
    context = spark.sparkContext._jsc.sc.return_value
    context.listenerBus.return_value = bus
    view = context.statusStore.return_value.store.return_value.view.return_value.index.return_value
    view.reverse.return_value.max.return_value.iterator.return_value = []  # none has run before
    view.first.return_value.iterator.return_value = [MagicMock(info=MagicMock(return_value=stage))]
    return spark


def test_the_end_of_tasks_is_waited_for() -> None:
    assert SparkMetrics(fake_session(MagicMock())).since_last()["tasks"] == 1


@pytest.mark.parametrize("kind", ["java.util.concurrent.TimeoutException", "java.lang.IllegalStateException"])
def test_events_that_do_not_come_fail_no_run(kind: str) -> None:
    bus, cause = MagicMock(), MagicMock()
    cause.getClass.return_value.getName.return_value = kind
    bus.waitUntilEmpty.side_effect = Py4JJavaError("", cause)
    metrics = SparkMetrics(fake_session(bus))
    if "Timeout" in kind:
        assert metrics.since_last()["tasks"] == 1
    else:
        with pytest.raises(Py4JJavaError):
            metrics.since_last()


def test_a_stage_leaves_seconds_and_resources(spark: SparkSession) -> None:
    progress = Progress(lambda: spark, Console(file=StringIO()))
    for _ in range(2):
        with progress.stage("s"):
            spark.range(0, 10, 1, 2).foreach(lambda row: None)
    spark.range(0, 10, 1, 2).foreach(lambda row: None)  # of no stage
    with progress.stage("empty"):
        pass
    assert progress.resources["s"]["tasks"] == 4
    assert progress.resources["empty"]["tasks"] == 0
    assert progress.seconds["s"] > 0
    progress.tell_seconds()
    assert progress.console.file.getvalue().startswith("Took: s ")  # type: ignore[attr-defined]


def test_figures_for_prometheus(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SECONDS_BETWEEN_LOG_LINES", 0.0)
    file = tmp_path / "swallow.prom"
    out = StringIO()
    progress = Progress(lambda: spark, Console(file=out), exporter=Exporter(str(file), None, "build"))
    with progress.stage("ingest", total=2) as tick:
        tick(2, 7)
    text = file.read_text()
    assert 'swallow_spark_pages{command="build",stage="ingest"} 7.0' in text
    assert 'swallow_spark_files_done{command="build",stage="ingest"} 2.0' in text


def test_a_gateway_that_does_not_answer_stops_nothing() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        exporter = Exporter(None, f"http://127.0.0.1:{bound.getsockname()[1]}", "build")
        exporter.tell("ingest", {"pages": 1.0})
    assert exporter.problem
    assert "metrics can't be written" in exporter.problem


def test_lines_say_what_is_done_and_left() -> None:
    assert module._line("decide", {"stage_seconds": 5, "tasks_done": 0, "tasks": 0}) == "decide: 0:05, planning"
    tasks = {"stage_seconds": 65, "tasks_done": 1, "tasks": 4}
    assert module._line("decide", tasks) == "decide: 1:05, 1 of 4 tasks of this step"
    assert module._line("decide", tasks, 30.2) == "decide: 1:05, 1 of 4 tasks of this step, 0:30 left"
    files = {"stage_seconds": 10, "files_done": 1, "files": 3, "pages": 1234}
    assert module._line("ingest", files).endswith("1 of 3 files, 1,234 pages, 123 pages/s, time left unknown")
    assert Progress(MagicMock())._seconds_left(files) == 20
    assert Progress(MagicMock())._seconds_left({**files, "files_done": 0}) is None


def test_the_start_of_spark_is_told_before_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    out = StringIO()
    told: list[str] = []
    monkeypatch.setattr(module.SparkSession, "getActiveSession", lambda: None)
    progress = Progress(lambda: told.append(out.getvalue()) or MagicMock(), Console(file=out))  # type: ignore[func-returns-value]
    assert progress.spark
    assert told[0].endswith("Starting Spark\n")
