"""A standalone cluster, a Master and two Workers from the pip package: its rows are those of local mode, also
when an executor is killed in each stage, and a machine goes."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pyspark
import pytest
from commands import REPOSITORY, call, own_environment
from corpora import manifests, same_tables, tables
from pyspark.sql import SparkSession

from swallow_spark import session

SPARK_HOME = Path(pyspark.__file__).parent
POLICIES: Final = ("greedy", "component")  # `bucket` is that of the build
DONE: Final = "manifests/deduplicate/corpus.json"
AT_WORK: Final = {
    "ingest": "pages/**/*.parquet",
    "annotate": "sketches/**/*.parquet",
    "deduplicate": "manifests/boundary/*.json",
    "decide": "verdicts/**/*.parquet",
    "score": "scores/**/*.parquet",
    "select": "subsets/**/*.parquet",
}
"""What there is when a stage has begun to write."""

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")


class Cluster(NamedTuple):
    url: str
    workers: list[subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def environment(place: Path, built: Path) -> dict[str, str]:
    """Of every process of the cluster: the Java that sessions use (`built` has opened one), loopback, this Python."""
    session._choose_java()
    values = own_environment()
    values.update(
        SPARK_HOME=str(SPARK_HOME),
        SPARK_LOCAL_IP="127.0.0.1",
        SPARK_WORKER_DIR=str(place / "work"),
        SPARK_LOG_DIR=str(place / "logs"),
        SPARK_LOCAL_DIRS=str(place / "scratch"),
        PYSPARK_PYTHON=sys.executable,
        # Executors that start quickly rather than run fast for hours.
        JAVA_TOOL_OPTIONS="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
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


@pytest.fixture(scope="module")
def cluster(environment: dict[str, str], place: Path) -> Iterator[Cluster]:
    """Everything is stopped afterwards, whatever happens."""
    port, page = free_port(), free_port()
    url, spark_class = f"spark://127.0.0.1:{port}", str(SPARK_HOME / "bin" / "spark-class")
    package = "org.apache.spark.deploy"
    master = [f"{package}.master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", str(page)]
    worker = [f"{package}.worker.Worker", "--host", "127.0.0.1", "--webui-port", "0", "--cores", "1", "--memory", "1g"]
    started: list[subprocess.Popen[bytes]] = []
    try:
        for number, command in enumerate((master, [*worker, url], [*worker, url])):
            with (place / f"{number}.log").open("wb") as log:
                started.append(
                    subprocess.Popen(
                        [spark_class, *command], env=environment, stdout=log, stderr=log, start_new_session=True
                    )
                )
        deadline = time.monotonic() + 90
        while num_workers(page) < 2:
            logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in sorted(place.glob("*.log")))
            assert time.monotonic() < deadline, logs
            assert all(process.poll() is None for process in started), logs
            time.sleep(0.2)
        yield Cluster(url, started[1:])
    finally:
        for process in reversed(started):  # the workers first: they end their executors
            process.terminate()
        for process in started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            with contextlib.suppress(ProcessLookupError):  # whoever is left of its group: executors and their workers
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def submit(cluster: Cluster, job: Path, *arguments: str) -> list[str]:
    """The call of spark-submit for a job."""
    command = [str(SPARK_HOME / "bin" / "spark-submit"), "--master", cluster.url]
    command += ["--properties-file", str(REPOSITORY / "conf" / "spark-defaults.conf")]
    for setting in ("spark.executor.memory=1g", "spark.executor.cores=1", "spark.driver.memory=1g"):
        command += ["--conf", setting]
    return [*command, str(job), *arguments]


def kill_an_executor(work: Path) -> bool:
    """Kills -9 the oldest executor of the cluster whose workers' directory this is; False where there is none."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes()
            if b"CoarseGrainedExecutorBackend" in command and (process / "cwd").readlink().is_relative_to(work):
                found.append(int(process.name))
    if found:
        os.kill(min(found), signal.SIGKILL)
    return bool(found)


def test_executors_that_are_killed_in_the_middle_of_dedup_change_no_row(
    cluster: Cluster, environment: dict[str, str], place: Path, built: Path, spark: SparkSession, tmp_path: Path
) -> None:
    assert (
        call("discard", "--corpus", shutil.copytree(built, tmp_path / "sketched"), "--stage", "deduplicate").status == 0
    )
    expected = {}
    for policy in POLICIES:
        shutil.copytree(tmp_path / "sketched", tmp_path / policy)
        there = Path(shutil.copytree(tmp_path / "sketched", tmp_path / f"undisturbed-{policy}"))
        assert call("deduplicate", "--corpus", there, "--set", f"dedup.policy={policy}").status == 0
        expected[policy] = tables(there)
    command = submit(cluster, Path(__file__).with_name("all_policies.py"), *(str(tmp_path / one) for one in POLICIES))
    with (tmp_path / "log").open("wb") as log:
        driver = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    killed = 0
    try:
        for policy in POLICIES:
            steps = tmp_path / policy / "manifests" / "boundary"
            seen = 0
            while driver.poll() is None and not (tmp_path / policy / DONE).exists():
                done = len(list(steps.glob("*.json")))
                if done >= seen + 2 and kill_an_executor(place / "work"):  # while the next step is at work
                    killed, seen = killed + 1, done
                time.sleep(0.05)
        assert driver.wait(300) == 0, (tmp_path / "log").read_text()[-4000:]
    finally:
        driver.kill()
        driver.wait()
    assert killed >= len(POLICIES)
    for policy in POLICIES:
        assert tables(tmp_path / policy) == expected[policy], policy


def test_a_build_loses_an_executor_in_each_stage_and_a_machine_and_gives_the_same_rows(
    cluster: Cluster, environment: dict[str, str], place: Path, built: Path, warcs: list[Path], tmp_path: Path
) -> None:
    """The last test: from `score` on the cluster has one Worker."""
    corpus = tmp_path / "corpus"
    arguments = ["--corpus", str(corpus), "--config", "demo", "--crawl", "c"]
    arguments += ["--set", "execution.files_per_batch=2", "--set", "dedup.policy=bucket", *map(str, warcs)]
    before = set((place / "work").glob("app-*/*"))
    with (tmp_path / "log").open("wb") as log:
        driver = subprocess.Popen(
            submit(cluster, REPOSITORY / "jobs" / "build.py", *arguments), env=environment, stdout=log, stderr=log
        )
    lost = []
    try:
        for stage, written in AT_WORK.items():
            while driver.poll() is None and not any(corpus.glob(written)):
                time.sleep(0.02)
            while driver.poll() is None and not kill_an_executor(place / "work"):  # the last one's place is taken soon
                time.sleep(0.02)
            if driver.poll() is None:
                lost.append(stage)
            if stage == "score":
                os.killpg(cluster.workers[0].pid, signal.SIGKILL)  # with all that it has started
        assert driver.wait(400) == 0, (tmp_path / "log").read_text()[-4000:]
    finally:
        driver.kill()
        driver.wait()
    assert lost == list(AT_WORK)
    executors = {path.name for path in set((place / "work").glob("app-*/*")) - before}
    assert len(executors) > len(lost), "those that were lost, and those that went on"
    assert len([name for name in manifests(corpus) if name.startswith("ingest/")]) == 2
    same_tables(corpus, built)
