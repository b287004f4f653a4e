"""A standalone cluster on loopback, from the pip package: a Master and two Workers, each on an address of its own."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import pyspark
from commands import own_environment
from places import REPOSITORY

from swallow_spark.session import session, warm_up

SPARK_HOME: Final = Path(pyspark.__file__).parent
EAGER_SPECULATION: Final = {
    "spark.speculation": "true",
    "spark.speculation.multiplier": "0.01",
    "spark.speculation.quantile": "0.01",
    "spark.speculation.interval": "10ms",
    "spark.speculation.minTaskRuntime": "1ms",
}
"""Nearly every task that isn't the last to start is started twice, where there is a second machine."""


class Cluster(NamedTuple):
    url: str
    workers: list[subprocess.Popen[bytes]]
    work: Path
    """Where its Workers run their executors."""

    def executors(self) -> list[int]:
        """The processes of those that are alive."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                command = (process / "cmdline").read_bytes()
                here = (process / "cwd").readlink().is_relative_to(self.work)
                if here and b"CoarseGrainedExecutorBackend" in command:
                    found.append(int(process.name))
        return sorted(found)


def environment(place: Path) -> dict[str, str]:
    """Of every process of a cluster, which writes below `place`: the Java that sessions use, this Python."""
    session.choose_java()
    return {
        **own_environment(),
        "SPARK_HOME": str(SPARK_HOME),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_WORKER_DIR": str(place / "work"),
        "SPARK_LOG_DIR": str(place / "logs"),
        "SPARK_LOCAL_DIRS": str(place / "scratch"),
        "PYSPARK_PYTHON": sys.executable,
        # Executors that start quickly rather than run fast for hours.
        "JAVA_TOOL_OPTIONS": " ".join(["-XX:TieredStopAtLevel=1 -XX:+UseSerialGC", *warm_up.options()]),
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }


@contextmanager
def started(variables: Mapping[str, str], place: Path) -> Iterator[Cluster]:
    """The cluster. Everything is stopped afterwards, whatever happens."""
    package = "org.apache.spark.deploy"
    processes: list[subprocess.Popen[bytes]] = []

    def start(host: str, *command: str) -> Path:
        """A daemon's log."""
        path = place / f"{host}.log"
        with path.open("wb") as log:
            processes.append(
                subprocess.Popen(
                    [str(SPARK_HOME / "bin" / "spark-class"), *command, "--host", host, "--webui-port", "0"],
                    env={**variables, "SPARK_LOCAL_IP": host},
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )
        return path

    def said(log: Path, what: str, number: int) -> list[str]:
        """Waits until a daemon has said it so many times."""
        deadline = time.monotonic() + 90
        while len(found := re.findall(what, log.read_text(errors="replace"))) < number:
            logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in sorted(place.glob("*.log")))
            assert time.monotonic() < deadline, logs
            assert all(process.poll() is None for process in processes), logs
            time.sleep(0.1)
        return found

    try:
        master = start("127.0.0.1", f"{package}.master.Master", "--port", "0")
        (url,) = said(master, r"Starting Spark master at (spark://127\.0\.0\.1:\d+)\s", 1)
        for host in ("127.0.0.2", "127.0.0.3"):  # Spark runs a task's second copy on another machine than the first
            start(host, f"{package}.worker.Worker", "--cores", "1", "--memory", "1g", url)
        said(master, r"Registering worker 127\.0\.0\.[23]:", 2)
        yield Cluster(url, processes[1:], place / "work")
    finally:
        for process in reversed(processes):  # the workers first: they end their executors
            process.terminate()
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            with contextlib.suppress(ProcessLookupError):  # whoever is left of its group: executors and their workers
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def event_log(directory: Path) -> dict[str, str]:
    """The settings for one in a directory, which is made."""
    directory.mkdir()
    return {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": directory.as_uri(),
        "spark.eventLog.compress": "false",
        "spark.eventLog.rolling.enabled": "false",
    }


def speculative_tasks(directory: Path) -> int:
    """How many tasks were started a second time while the first ran, by the event logs there."""
    lines = (line for path in directory.rglob("*") if path.is_file() for line in path.open("rb"))
    starts = (json.loads(line)["Task Info"] for line in lines if b'"SparkListenerTaskStart"' in line)
    return sum(task["Speculative"] for task in starts)
