"""What is told of an error, and what to do."""

import errno
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.errors import PythonException

from swallow_spark.errors import InputError, filling, is_shortage, root_cause
from swallow_spark.session.session import packaged_defaults

JAVA = """An error occurred while calling o71.collectToPython.
: org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 failed 4 times: BoomException: no
\tat org.apache.spark.scheduler.DAGScheduler.abortStage(DAGScheduler.scala:3122)
Caused by: {cause}
\tat java.base/java.io.FileOutputStream.writeBytes(Native Method)
\tSuppressed: {cause}
\t\t... 13 more"""
PYTHON = """
  An exception was thrown from the Python worker. Please see the stack trace below.
Traceback (most recent call last):
  File "annotate.py", line 71, in _annotate_task
    at = sketch(texts)
{cause}
"""

CHAIN = """Traceback (most recent call last):
  File "annotate.py", line 70, in _annotate_task
    raise MemoryError("of the first error")
{first}
of two lines

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "annotate.py", line 71, in _annotate_task
    {last}
    ^^^^^^
{last}
"""


class Py4JJavaError(Exception):
    pass


class Py4JNetworkError(Exception):
    pass


NO_PORT = (
    "EOFException occurred while reading the port number from "
    f"{packaged_defaults()['spark.python.daemon.module']}'s stdout."
)


def in_the_worker_factory(cause: str) -> Py4JJavaError:
    """As where a worker is killed after it was forked, before it has told its number."""
    frames = "".join(
        f"\n\tat {frame}"
        for frame in (
            "java.base/java.io.DataInputStream.readInt(DataInputStream.java:381)",
            "org.apache.spark.api.python.PythonWorkerFactory.createWorker$1(PythonWorkerFactory.scala:220)",
            "org.apache.spark.api.python.PythonWorkerFactory.createThroughDaemon(PythonWorkerFactory.scala:232)",
        )
    )
    return java(cause + frames)


def java(cause: str) -> Py4JJavaError:
    return Py4JJavaError(JAVA.format(cause=cause))


def chained(first: str, last: str) -> list[Exception]:
    """As PySpark tells it, and as Java does."""
    chain = CHAIN.format(first=first, last=last)
    return [
        PythonException(PYTHON.format(cause="").partition("Traceback")[0] + chain),
        Py4JJavaError(JAVA.format(cause=f"org.apache.spark.api.python.PythonException: {chain}")),
    ]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (PythonException(PYTHON.format(cause="ValueError: x")), "ValueError: x (PythonException)"),
        (Py4JJavaError(JAVA.format(cause="java.lang.Boom: no")), "java.lang.Boom: no (Py4JJavaError)"),
        (Py4JJavaError(JAVA.partition("Caused")[0]), f"{JAVA.splitlines()[1].removeprefix(': ')} (Py4JJavaError)"),
        (KeyError(), "KeyError (KeyError)"),
        (InputError("a.warc: no such file"), "a.warc: no such file (InputError)"),
    ],
)
def test_the_innermost_cause_is_told(error: Exception, told: str) -> None:
    assert root_cause(error) == told


@pytest.mark.parametrize(
    ("error", "what", "remedy"),
    [
        (
            Py4JJavaError(JAVA.format(cause="java.io.IOException: No space left on device")),
            "java.io.IOException: No space left on device (Py4JJavaError): ",
            "spark.local.dir",
        ),
        (
            PythonException(PYTHON.format(cause="OSError: [Errno 28] No space left on device: '/data/x'")),
            "OSError: [Errno 28] No space left on device: '/data/x' (PythonException): ",
            "or the temporary directory is full: free space there, or set TMPDIR",
        ),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "[Errno 122] Disk quota exceeded (OSError): ", "TMPDIR"),
        (PythonException(PYTHON.format(cause="MemoryError")), "MemoryError (PythonException): ", "memoryOverhead"),
        (MemoryError(), "MemoryError: ", "memoryOverhead"),
        (
            PythonException(PYTHON.format(cause="pyarrow.lib.ArrowMemoryError: malloc of size 64 failed")),
            "pyarrow.lib.ArrowMemoryError: malloc of size 64 failed (PythonException): ",
            "memoryOverhead",
        ),
        (
            Py4JJavaError(JAVA.format(cause="java.lang.OutOfMemoryError: Java heap space")),
            "java.lang.OutOfMemoryError: Java heap space (Py4JJavaError): Java's heap is full",
            "spark.executor.memory (",
        ),
        (
            Py4JJavaError(JAVA.format(cause="ExecutorLostFailure (executor 3) Reason: Command exited with code 137")),
            "ExecutorLostFailure (executor 3) Reason: Command exited with code 137 (Py4JJavaError): ",
            "memoryOverhead",
        ),
        (
            Py4JJavaError(JAVA.format(cause="org.apache.spark.SparkException: Python worker exited unexpectedly (x)")),
            "org.apache.spark.SparkException: Python worker exited unexpectedly (x) (Py4JJavaError): a worker crashed",
            "memoryOverhead",
        ),
        (
            java("java.lang.IllegalStateException: Python daemon failed to launch worker."),
            "java.lang.IllegalStateException: Python daemon failed to launch worker. (Py4JJavaError): a worker crashed",
            "memoryOverhead",
        ),
        (
            java(f"org.apache.spark.SparkException: {NO_PORT}"),
            f"org.apache.spark.SparkException: {NO_PORT} (Py4JJavaError): a worker crashed",
            "memoryOverhead",
        ),
        (
            in_the_worker_factory("java.io.EOFException"),
            "java.io.EOFException (PythonWorkerFactory) (Py4JJavaError): a worker crashed",
            "memoryOverhead",
        ),
        (
            in_the_worker_factory("java.net.SocketException: Connection reset"),
            "java.net.SocketException: Connection reset (PythonWorkerFactory) (Py4JJavaError): a worker crashed",
            "memoryOverhead",
        ),
        (
            java("java.nio.file.FileSystemException: /tmp/blockmgr-1/0c: No space left on device"),
            "java.nio.file.FileSystemException: /tmp/blockmgr-1/0c: No space left on device (Py4JJavaError): ",
            "spark.local.dir",
        ),
        (
            java("java.lang.OutOfMemoryError: unable to create native thread: possibly out of memory"),
            "java.lang.OutOfMemoryError: unable to create native thread: possibly out of memory (Py4JJavaError): raise",
            "ulimit -u",
        ),
        (
            java("java.io.FileNotFoundException: /tmp/blockmgr-1/0c (Too many open files)"),
            "java.io.FileNotFoundException: /tmp/blockmgr-1/0c (Too many open files) (Py4JJavaError): ",
            "ulimit -n",
        ),
        (
            PythonException(PYTHON.format(cause="OSError: [Errno 24] Too many open files: '/data/x'")),
            "OSError: [Errno 24] Too many open files: '/data/x' (PythonException): ",
            "ulimit -n",
        ),
        (
            PythonException(PYTHON.format(cause="numpy._core._exceptions._ArrayMemoryError: Unable to allocate")),
            "numpy._core._exceptions._ArrayMemoryError: Unable to allocate (PythonException): ",
            "memoryOverhead",
        ),
        *((error, "MemoryError (P", "memoryOverhead") for error in chained("ValueError: x", "MemoryError")),
        (
            ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
            "[Errno 111] Connection refused (ConnectionRefusedError): Spark's JVM has ended",
            "spark.local.dir",
        ),
        (
            Py4JNetworkError("Answer from Java side is empty"),
            "Answer from Java side is empty (Py4JNetworkError): Spark's JVM has ended",
            "spark.local.dir",
        ),
    ],
)
def test_what_a_machine_lacks_is_told_with_what_to_do(error: Exception, what: str, remedy: str) -> None:
    told = root_cause(error)
    assert told.startswith(what)
    assert remedy in told
    assert told.endswith("then run the same command again to continue")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            InputError("s3://bucket/OutOfMemoryError.jsonl: MemoryError: [Errno 28] No space left on device"),
            "s3://bucket/OutOfMemoryError.jsonl: MemoryError: [Errno 28] No space left on device (InputError)",
        ),
        (
            PythonException(PYTHON.format(cause="swallow_spark.errors.InputError: MemoryError: no such file")),
            "swallow_spark.errors.InputError: MemoryError: no such file (PythonException)",
        ),
        (
            PythonException(PYTHON.format(cause="FileNotFoundError: [Errno 2] No such file: '/OutOfMemoryError: x'")),
            "FileNotFoundError: [Errno 2] No such file: '/OutOfMemoryError: x' (PythonException)",
        ),
        (
            java("java.io.FileNotFoundException: /data/MemoryError.jsonl"),
            "java.io.FileNotFoundException: /data/MemoryError.jsonl (Py4JJavaError)",
        ),
        *(
            (fails(f"java.{kind}"), f"java.{kind} (Py4JJavaError)")
            for fails, kind in (
                (java, "io.EOFException"),
                (java, "net.SocketException: Connection reset"),
                (in_the_worker_factory, "io.FileNotFoundException: python3"),
            )
        ),
        *(
            (error, f"ValueError: x ({type(error).__name__})")
            for first in (
                "MemoryError",
                "ConnectionRefusedError: [Errno 111] Connection refused",
                "OSError: [Errno 28] No space left on device",
            )
            for error in chained(first, "ValueError: x")
        ),
    ],
)
def test_what_only_looks_like_something_lacking_gets_no_advice(error: Exception, told: str) -> None:
    assert root_cause(error) == told


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_told_by_what_is_written_there() -> None:
    with pytest.raises(OSError, match="No space") as raised, filling("/scratch/x"), open("/dev/full", "wb") as file:
        file.write(b"x")
    assert is_shortage(raised.value)
    assert root_cause(raised.value).startswith(
        "[Errno 28] No space left on device: '/scratch/x' (OSError): the disk of"
    )
    with pytest.raises(OSError, match="No space") as raised, filling("/scratch"), filling("/scratch/x"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert raised.value.filename == "/scratch/x", "the name next to it is the one that is told"
    with pytest.raises(FileNotFoundError) as missing, filling("/scratch/x"):
        Path("/none/x").write_bytes(b"")
    assert missing.value.filename == "/none/x"


def test_what_a_machine_lacks_is_no_fault_of_an_input() -> None:
    assert is_shortage(MemoryError())
    assert is_shortage(pa.ArrowMemoryError("malloc of size 64 failed"))
    assert is_shortage(OSError(errno.ENOSPC, "No space left on device"))
    assert not is_shortage(FileNotFoundError(errno.ENOENT, "No such file or directory"))
    assert not is_shortage(pa.ArrowInvalid("not a Parquet file"))
