"""What is told of an error, and what to do."""

import errno

import pyarrow as pa
import pytest
from pyspark.errors import PythonException

from swallow_spark.errors import InputError, is_shortage, root_cause

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


class Py4JJavaError(Exception):
    pass


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
            "under the corpus or the temporary directory (TMPDIR)",
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
            ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
            "[Errno 111] Connection refused (ConnectionRefusedError): Spark's JVM has ended",
            "spark.local.dir",
        ),
    ],
)
def test_what_a_machine_lacks_is_told_with_what_to_do(error: Exception, what: str, remedy: str) -> None:
    told = root_cause(error)
    assert told.startswith(what)
    assert remedy in told
    assert told.endswith("the same command then goes on with what is missing")


def test_what_a_machine_lacks_is_no_fault_of_an_input() -> None:
    assert is_shortage(MemoryError())
    assert is_shortage(pa.ArrowMemoryError("malloc of size 64 failed"))
    assert is_shortage(OSError(errno.ENOSPC, "No space left on device"))
    assert not is_shortage(FileNotFoundError(errno.ENOENT, "No such file or directory"))
    assert not is_shortage(pa.ArrowInvalid("not a Parquet file"))
