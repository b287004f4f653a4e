"""Exceptions, by what the user must do about them. The command line turns each into one line and an exit status."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pydantic import ValidationError


class SwallowSparkError(Exception):
    """Anything that the command line reports in one line, without a traceback. Exit status 1: the run failed."""

    exit_status = 1


class UsageError(SwallowSparkError):
    """Wrong usage or configuration, found before any work starts. Exit status 2: correct the call and run it again."""

    exit_status = 2


class ConfigError(UsageError):
    """A key, value or model in the configuration that can't be used; names the key, the file and what is allowed."""


class InputError(UsageError):
    """An INPUT that matches nothing or can't be read."""


class ChangedError(InputError):
    """An INPUT whose bytes are no longer those that were registered, or that were read before."""


class CorpusError(UsageError):
    """A corpus directory that can't be used as asked: not writable, locked by another run, of another configuration."""


class LedgerError(SwallowSparkError):
    """The records read are not the sum of pages, records passed over and failures: a bug, and the run stops."""


class VersionError(SwallowSparkError):
    """Executors with another release of this package than the driver: give them the driver's."""


class ModelError(UsageError):
    """A model file that is missing, cut, corrupt or not of the kind expected."""


_HOSTILE: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Text for people, in a terminal, a log or a page: what could act there is escaped. URLs, titles and texts of pages
    may hold control characters, lone surrogates, separators of lines and what turns the direction of writing."""
    return _HOSTILE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def is_shortage(error: BaseException) -> bool:
    """Whether this machine lacks memory, room on a disk or open files: no fault of what is read or written."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _SHORTAGES)


_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_SHORTAGES: Final = (errno.ENOMEM, *_FULL, errno.EMFILE, errno.ENFILE)


@contextmanager
def filling(place: object) -> Iterator[None]:
    """For who writes into `place`, a file or directory: names it in the error of a full disk, for systems don't."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL and error.filename is None:
            raise OSError(error.errno, os.strerror(error.errno), str(place)) from error
        raise


_AGAIN: Final = "the same command then goes on with what is missing"
_HEAP: Final = f"Java's heap is full: raise spark.executor.memory (in local mode spark.driver.memory); {_AGAIN}"
_PYTHON: Final = (
    "Python workers had too little memory: raise spark.executor.memoryOverhead (and spark.executor.pyspark.memory, if "
    f"it is set), or give an executor fewer cores (in local mode --master local[N]); {_AGAIN}"
)
# What Java says of a worker that ended before its first word: that it was one is in the lines of code below it alone.
_HUNG_UP: Final = r"(?:^|: )java\.(?:io\.EOFException|net\.SocketException: [^()]*)"
# Each sign is looked for in "TYPE: LINE", for the lines in which an error is told. Types stand at the beginning or
# behind a colon, and systems' messages behind a colon, a bracket or a comma: names of files may hold the same words.
_REMEDIES: Final = (
    (
        r"(IOException|FileSystemException|OutOfMemoryError): (.*[:,(] ?)?(No space left on device|Disk quota exceeded)"
        r"|: Failed to create (any |a )?local dir",
        "the disk is full where Spark keeps what it shuffles: make room there, or name another place by "
        f"spark.local.dir (on a cluster by SPARK_LOCAL_DIRS of the workers); {_AGAIN}",
    ),
    (
        r"[]:,] (No space left on device|Disk quota exceeded)",
        "the disk is full under the corpus, an output or the temporary directory (TMPDIR): make room there, or name "
        f"another temporary directory by TMPDIR (for tasks by spark.executorEnv.TMPDIR); {_AGAIN}",
    ),
    (
        r"[]:,(] ?Too many open files",
        f"raise the limit on open files (ulimit -n), or give an executor fewer cores; {_AGAIN}",
    ),
    (
        r"(^|: )[\w.]*OutOfMemoryError: unable to create( new)? native thread",
        "raise the limit on processes and threads (ulimit -u, or the container's), or give an executor fewer cores; "
        f"{_AGAIN}",
    ),
    (r"(^|: )[\w.]*OutOfMemoryError(:|$)|exited with code 52\b", _HEAP),  # SparkExitCode.OOM
    (r"(^|: )[\w.]*MemoryError(:|$)|[]:,'] ?Cannot allocate memory|: (realloc|malloc) of size", _PYTHON),
    # What containers end by SIGKILL, and YARN's statuses for those that took too much.
    (r"exited with code 137\b|exit (code|status):? ?(137|-10[34])\b|beyond physical memory|OOMKilled", _PYTHON),
    (
        r"Python worker exited unexpectedly|Python worker failed to connect back|pyspark.daemon's stdout"
        r"|Python daemon failed to launch worker"
        rf"|{_HUNG_UP} \(PythonWorkerFactory\)$",
        f"a worker crashed, or the system ended it for want of memory; if so (dmesg tells), {_PYTHON}",
    ),
    (
        r"^(ConnectionRefusedError|Py4JNetworkError):|^Py4JError: Answer from Java side is empty",  # this process's own
        "Spark's JVM has ended: it may have said why above; the system may have ended it for want of memory (dmesg "
        f"tells), or spark.local.dir can't be written; {_AGAIN}",
    ),
)
_CHAINED: Final = (
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
)


def root_cause(error: Exception) -> str:
    """What went wrong, in one line: of a failed task, the last line of the innermost Python traceback. Where a machine
    lacked something, that, and what to do."""
    if isinstance(error, ValidationError):
        return f"{error}"
    kind = type(error).__name__
    if isinstance(error, SwallowSparkError):
        return f"{' '.join(str(error).split())} ({kind})"
    lines = _told(str(error))
    foreign = [line for line in lines or [""] if not line.startswith(f"{__package__}.")]
    for sign, remedy in _REMEDIES:
        if shortages := [line for line in foreign if re.search(sign, f"{kind}: {line}")]:
            what = re.sub(r"^(Caused by|Suppressed):\s*", "", shortages[-1])
            return f"{f'{what} ({kind})' if what else kind}: {remedy}"
    causes = [line for line in lines if re.match(r"([\w.]+(Error|Exception|Full|Exit)\b|Caused by:)", line)]
    return f"{causes[-1].removeprefix('Caused by:').strip() if causes else lines[0] if lines else kind} ({kind})"


def _told(text: str) -> list[str]:
    """The lines of an error's text that tell of errors: no lines of code, only that a Python worker hung up, and of
    Python's errors that arose one from another the last one."""
    told: list[str] = []
    traceback = 0
    for line in text.splitlines():
        if line in _CHAINED:
            del told[traceback:]
        elif told and re.match(r"\s+at .*\bPythonWorkerFactory\.createWorker\b", line):
            told[-1] = re.sub(rf"({_HUNG_UP})$", r"\1 (PythonWorkerFactory)", told[-1])
        elif not re.match(r" {4}|  File |\s+at |\s*$", line):
            told.append(line.strip().removeprefix(": "))  # Py4J's second line begins so
        if line.endswith("Traceback (most recent call last):"):
            traceback = len(told)
    return told
