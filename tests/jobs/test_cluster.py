"""A standalone cluster, a Master and two Workers: its rows are those of local mode, also when an executor is killed in
each stage, a machine goes, and tasks are started twice."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import standalone
from commands import call
from corpora import manifests, same_tables, tables
from places import REPOSITORY, SUPPORT
from pyspark.sql import SparkSession
from standalone import EAGER_SPECULATION, SPARK_HOME, Cluster, speculative_tasks

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


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def environment(place: Path) -> dict[str, str]:
    return standalone.environment(place)


@pytest.fixture(scope="module")
def cluster(environment: dict[str, str], place: Path) -> Iterator[Cluster]:
    with standalone.started(environment, place) as cluster:
        yield cluster


def submit(cluster: Cluster, job: Path, *arguments: str, **settings: str) -> list[str]:
    """The call of spark-submit for a job."""
    command = [str(SPARK_HOME / "bin" / "spark-submit"), "--master", cluster.url]
    command += ["--properties-file", str(REPOSITORY / "conf" / "spark-defaults.conf")]
    few = {"spark.executor.memory": "1g", "spark.executor.cores": "1", "spark.driver.memory": "1g"}
    for setting, value in {**few, **settings}.items():
        command += ["--conf", f"{setting}={value}"]
    return [*command, str(job), *arguments]


def kill_an_executor(cluster: Cluster) -> bool:
    """Kills -9 the oldest executor; False where there is none."""
    found = cluster.executors()
    if found:
        os.kill(min(found), signal.SIGKILL)
    return bool(found)


def test_executors_that_are_killed_in_the_middle_of_dedup_change_no_row(
    cluster: Cluster, environment: dict[str, str], built: Path, spark: SparkSession, tmp_path: Path
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
    command = submit(cluster, SUPPORT / "all_policies.py", *(str(tmp_path / one) for one in POLICIES))
    with (tmp_path / "log").open("wb") as log:
        driver = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    killed = list[int]()
    try:
        for policy in POLICIES:
            steps = tmp_path / policy / "manifests" / "boundary"
            seen = lost = 0
            while driver.poll() is None and not (tmp_path / policy / DONE).exists():
                done = len(list(steps.glob("*.json")))
                if lost < 3 and done >= seen + 2 and kill_an_executor(cluster):  # while the next step is at work
                    lost, seen = lost + 1, done
                time.sleep(0.05)
            killed.append(lost)
        assert driver.wait(300) == 0, (tmp_path / "log").read_text()[-4000:]
    finally:
        driver.kill()
        driver.wait()
    assert all(killed)
    for policy in POLICIES:
        assert tables(tmp_path / policy) == expected[policy], policy


def test_a_build_loses_an_executor_in_each_stage_and_a_machine_and_gives_the_same_rows(
    cluster: Cluster, environment: dict[str, str], built: Path, warcs: list[Path], tmp_path: Path
) -> None:
    """Beside that, nearly every task is started twice. The last test: from `score` on the cluster has one Worker."""
    corpus = tmp_path / "corpus"
    arguments = ["--corpus", str(corpus), "--config", "demo", "--crawl", "c", "--until", "select"]
    arguments += ["--set", "execution.files_per_batch=2", "--set", "dedup.policy=bucket", *map(str, warcs)]
    # A task that is started twice, and loses both executors, has lost two of its attempts.
    settings = {**EAGER_SPECULATION, **standalone.event_log(tmp_path / "events"), "spark.task.maxFailures": "8"}
    before = set((cluster.work).glob("app-*/*"))
    with (tmp_path / "log").open("wb") as log:
        driver = subprocess.Popen(
            submit(cluster, REPOSITORY / "jobs" / "build.py", *arguments, **settings),
            env=environment,
            stdout=log,
            stderr=log,
        )
    lost = []
    try:
        for stage, written in AT_WORK.items():
            while driver.poll() is None and not any(corpus.glob(written)):
                time.sleep(0.02)
            while driver.poll() is None and not kill_an_executor(cluster):  # the last one's place is taken soon
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
    executors = {path.name for path in set((cluster.work).glob("app-*/*")) - before}
    assert len(executors) > len(lost), "those that were lost, and those that went on"
    assert len([name for name in manifests(corpus) if name.startswith("ingest/")]) == 2
    assert speculative_tasks(tmp_path / "events") > 0
    same_tables(corpus, built)
