"""A standalone cluster, a Master and two Workers from the pip package: its rows are those of local mode."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pyspark
import pytest
from commands import REPOSITORY, own_environment
from corpora import manifests, same_tables

from swallow_spark import session

SPARK_HOME = Path(pyspark.__file__).parent


@pytest.fixture
def environment(tmp_path: Path, built: Path) -> dict[str, str]:
    """Of every process of the cluster: the Java that sessions use (`built` has opened one), loopback, this Python."""
    session._choose_java()
    values = own_environment()
    values.update(
        SPARK_HOME=str(SPARK_HOME),
        SPARK_LOCAL_IP="127.0.0.1",
        SPARK_WORKER_DIR=str(tmp_path / "work"),
        SPARK_LOG_DIR=str(tmp_path / "logs"),
        SPARK_LOCAL_DIRS=str(tmp_path / "scratch"),
        PYSPARK_PYTHON=sys.executable,
        PYTHONPATH=os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]),
    )
    return values


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def num_workers(port: int) -> int:
    """What the Master's page says of its live workers; 0 where it doesn't answer yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/", timeout=5) as answer:
            return int(json.load(answer)["aliveworkers"])
    except (OSError, ValueError):  # while it starts, another page answers
        return 0


@pytest.fixture
def cluster(environment: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """The Master's URL. Everything is stopped afterwards, whatever happens."""
    port, page = free_port(), free_port()
    url, spark_class = f"spark://127.0.0.1:{port}", str(SPARK_HOME / "bin" / "spark-class")
    package = "org.apache.spark.deploy"
    master = [f"{package}.master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", str(page)]
    worker = [f"{package}.worker.Worker", "--host", "127.0.0.1", "--webui-port", "0", "--cores", "1", "--memory", "1g"]
    started: list[subprocess.Popen[bytes]] = []
    try:
        for number, command in enumerate((master, [*worker, url], [*worker, url])):
            with (tmp_path / f"{number}.log").open("wb") as log:
                started.append(
                    subprocess.Popen(
                        [spark_class, *command], env=environment, stdout=log, stderr=log, start_new_session=True
                    )
                )
        deadline = time.monotonic() + 90
        while num_workers(page) < 2:
            logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in sorted(tmp_path.glob("*.log")))
            assert time.monotonic() < deadline, logs
            assert all(process.poll() is None for process in started), logs
            time.sleep(0.2)
        yield url
    finally:
        for process in reversed(started):  # the workers first: they end their executors
            process.terminate()
        for process in started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            with contextlib.suppress(ProcessLookupError):  # whoever is left of its group: executors and their workers
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_a_cluster_gives_the_same_rows(
    cluster: str, environment: dict[str, str], built: Path, warcs: list[Path], tmp_path: Path
) -> None:
    corpus = tmp_path / "corpus"
    command = [str(SPARK_HOME / "bin" / "spark-submit"), "--master", cluster]
    command += ["--properties-file", str(REPOSITORY / "conf" / "spark-defaults.conf")]
    for setting in ("spark.executor.memory=1g", "spark.executor.cores=1", "spark.driver.memory=1g"):
        command += ["--conf", setting]
    command += [str(REPOSITORY / "jobs" / "build.py"), "--corpus", str(corpus), "--config", "demo", "--crawl", "c"]
    command += ["--set", "execution.files_per_batch=2", *map(str, warcs)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    executors = {path.name for path in (tmp_path / "work").glob("app-*/*")}
    assert len(executors) == 2, "both workers ran an executor"
    assert len([name for name in manifests(corpus) if name.startswith("ingest/")]) == 2
    same_tables(corpus, built)
