"""Trouble with machines: full disks, and memory that runs out. Each run ends with an error that says what
to do, and the same command then gives the tables of an undisturbed one. chaos.py has these and others at random."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import standalone
from commands import call, command_line, own_environment
from corpora import ids, rows, tables
from places import REPOSITORY, SUPPORT
from pyspark.sql import SparkSession
from standalone import SPARK_HOME

OWN_MOUNTS = ["unshare", "--map-root-user", "--mount"]


@pytest.fixture(scope="session")  # so that it comes before the corpus
def own_mounts() -> list[str]:
    """The beginning of a command that may mount what nobody else sees."""
    tried = [*OWN_MOUNTS, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    if not shutil.which("unshare"):
        pytest.skip("full disks aren't tried: there is no `unshare`")
    if said := subprocess.run(tried, capture_output=True, text=True, check=False).stderr:
        pytest.skip(f"full disks aren't tried, since they can't be mounted here: {said.strip()}")
    return OWN_MOUNTS


def test_full_disks_under_the_shuffle_and_the_corpus(
    own_mounts: list[str], copy: Path, built: Path, tmp_path: Path
) -> None:
    assert call("discard", "--corpus", copy, "--stage", "deduplicate").status == 0
    place = tmp_path / "place"
    place.mkdir()
    ran = subprocess.run(
        [*own_mounts, sys.executable, str(SUPPORT / "full_disks.py"), str(copy), str(place)],
        env={**own_environment(), "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    (under_the_shuffle, under_the_corpus, with_room), temporary = json.loads(ran.stdout)
    for (status, said, is_locked), where in ((under_the_shuffle, "spark.local.dir"), (under_the_corpus, "TMPDIR")):
        assert status == 1
        last = said.strip().splitlines()[-1]
        assert "No space left on device" in last
        assert where in last
        assert "free space there" in last
        assert not is_locked
    assert f"No space left on device: '{place}/disk/corpus/" in under_the_corpus[1]
    assert with_room[0] == 0, with_room[1]
    found, expected = tables(place / "corpus"), tables(built)
    assert found == {table: expected[table] for table in found}
    assert {"duplicates", "groups"} <= found.keys()
    for told in temporary:
        assert f"No space left on device: '{place}/temporary/" in told
        assert "or set TMPDIR" in told


def workers_of(jvm: int) -> list[int]:
    """The processes that compute for a JVM: the children of the Python that it has started to fork them."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    return [process for process, parent in parents.items() if parents.get(parent) == jvm]


@contextmanager
def no_memory_for(jvm: int) -> Iterator[None]:
    """Kills Python workers as soon as they are there, as the system does where memory runs out."""
    has_enough = threading.Event()

    def kill() -> None:
        while not has_enough.wait(0.02):
            for process in workers_of(jvm):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield
    finally:
        has_enough.set()
        killer.join()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_workers_that_are_killed_for_want_of_memory(copy: Path, built: Path, spark: SparkSession) -> None:
    assert call("discard", "--corpus", copy, "--stage", "measure").status == 0
    jvm: Any = spark.sparkContext._jvm
    with no_memory_for(jvm.java.lang.ProcessHandle.current().pid()):
        ran = call("measure", "--corpus", copy)
    assert ran.status == 1
    last = ran.err.splitlines()[-1]
    assert "a worker crashed, or the system killed it" in last  # before its first word, or while it computes
    assert "raise spark.executor.memoryOverhead" in last
    assert not (copy / "lock.json").exists()
    assert ids(copy, "measure") == {}
    ran = call("measure", "--corpus", copy)
    assert ran.status == 0, ran.err
    assert rows(copy, "features") == rows(built, "features")


def test_a_japanese_path_with_a_colon_and_a_glob_character_in_the_posix_locale(tmp_path: Path) -> None:
    place = tmp_path / "本[1] 12:00"
    place.mkdir()
    lines = (
        json.dumps({"text": f"{number}番目の文章です。" * 9, "url": f"http://{number}.example/"}) for number in range(9)
    )
    (place / "文.jsonl").write_text("\n".join(lines))
    arguments = ["--corpus", place / "集", "--crawl", "a", "--config", "demo", "--until", "deduplicate", "--json"]
    command = command_line("import", *arguments, place / "文.jsonl")
    environment = own_environment() | {"LC_ALL": "C"}
    done = subprocess.run(command, env=environment, cwd="/", capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["pages"] == 9


@pytest.mark.parametrize("variable", ["LC_ALL", "LANG"])  # Python gets around the second, Java doesn't
def test_spark_submit_refuses_arguments_that_its_locale_has_lost(tmp_path: Path, variable: str) -> None:
    place = standalone.environment(tmp_path)
    plain = {name: value for name, value in place.items() if name != "LANG" and not name.startswith("LC_")}
    command = [SPARK_HOME / "bin" / "spark-submit", REPOSITORY / "jobs" / "annotate.py", "--corpus", "/tmp/山"]
    done = subprocess.run(command, env=plain | {variable: "C"}, cwd="/", capture_output=True, timeout=300, check=False)
    assert done.returncode == 2, done.stderr.decode()
    assert b"set LC_ALL=C.UTF-8" in done.stdout  # where spark-submit sends both streams
