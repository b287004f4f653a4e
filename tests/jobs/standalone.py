"""A standalone cluster on loopback, from the pip package: a Master and two Workers, each on an address of its own."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import pyspark
from commands import REPOSITORY, own_environment

from swallow_spark import session

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
        "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }


@contextmanager
def started(variables: Mapping[str, str], place: Path) -> Iterator[Cluster]:
    """The cluster. Everything is stopped afterwards, whatever happens."""
    port, page = _free_port(), _free_port()
    url, package = f"spark://127.0.0.1:{port}", "org.apache.spark.deploy"
    master = [f"{package}.master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", str(page)]
    commands = {"127.0.0.1": master}
    for host in ("127.0.0.2", "127.0.0.3"):  # Spark runs a task's second copy on another machine than the first
        commands[host] = [f"{package}.worker.Worker", "--host", host, "--webui-port", "0"]
        commands[host] += ["--cores", "1", "--memory", "1g", url]
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for host, command in commands.items():
            with (place / f"{host}.log").open("wb") as log:
                processes.append(
                    subprocess.Popen(
                        [str(SPARK_HOME / "bin" / "spark-class"), *command],
                        env={**variables, "SPARK_LOCAL_IP": host},
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )
        deadline = time.monotonic() + 90
        while _num_workers(page) < 2:
            logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in sorted(place.glob("*.log")))
            assert time.monotonic() < deadline, logs
            assert all(process.poll() is None for process in processes), logs
            time.sleep(0.2)
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


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def _num_workers(port: int) -> int:
    """What the Master's page says of its live workers; 0 where it doesn't answer yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/", timeout=5) as answer:
            return int(json.load(answer)["aliveworkers"])
    except (OSError, ValueError):  # while it starts, another page answers
        return 0
