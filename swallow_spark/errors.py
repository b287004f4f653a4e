"""Exceptions, by what the user has to do. The command line turns each into one line and an exit status."""

import difflib
import errno
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from pydantic import ValidationError


class SwallowSparkError(Exception):
    """An error that the command line reports without a traceback. Exit status 1: the run failed."""

    exit_status = 1


class UsageError(SwallowSparkError):
    """Wrong usage or configuration, found before any work starts. Exit status 2: correct the call and run it again."""

    exit_status = 2


class ConfigError(UsageError):
    """A key, value or model in the configuration that can't be used. Names the key, the file and what is allowed."""


class InputError(UsageError):
    """An INPUT that matches nothing or can't be read."""


class ChangedError(InputError):
    """An INPUT whose bytes have changed since it was registered or read."""


class CorpusError(UsageError):
    """A corpus that can't be used as asked: not writable, made with another configuration, or in use (InUseError)."""


class InUseError(CorpusError):
    """A corpus that another run works on. Exit status 75 (EX_TEMPFAIL of sysexits.h): try again later."""

    exit_status = 75


class LedgerError(SwallowSparkError):
    """Records read are not the sum of pages, records passed over and failures. A bug; the run stops."""


class VersionError(SwallowSparkError):
    """Executors have another release of this package than the driver: install the driver's there."""


class ModelError(UsageError):
    """A model file that is missing, cut, corrupt or not of the kind expected."""


def meant(name: str, known: Iterable[str]) -> str:
    """`, did you mean X?` if one of the known names is close to a name that isn't one, otherwise nothing."""
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f", did you mean {close[0]}?" if close else ""


_HOSTILE: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Text that is safe in a terminal, a log or a page. Control characters, lone surrogates, line separators and
    directional marks, which URLs, titles and texts of pages may contain, are escaped."""
    return _HOSTILE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def one_line(text: str) -> str:
    """The text in one line. Other blanks than those of ASCII stay: a file's name may hold U+3000."""
    return re.sub(r"[ \t\r\n]+", " ", text).strip(" ")


def is_shortage(error: BaseException) -> bool:
    """Whether the machine lacks memory, disk space or open files, so that the data is not at fault."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _SHORTAGES)


_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_SHORTAGES: Final = (errno.ENOMEM, *_FULL, errno.EMFILE, errno.ENFILE)


@contextmanager
def filling(place: object) -> Iterator[None]:
    """Names `place`, a file or directory that is written, in the error of a full disk; the system doesn't."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL and error.filename is None:
            raise OSError(error.errno, os.strerror(error.errno), str(place)) from error
        raise


_AGAIN: Final = "then run the same command again to continue"
_HEAP: Final = f"Java's heap is full: raise spark.executor.memory (in local mode spark.driver.memory); {_AGAIN}"
_PYTHON: Final = (
    "Python workers had too little memory: raise spark.executor.memoryOverhead (and spark.executor.pyspark.memory, if "
    f"it is set), or give an executor fewer cores (in local mode --master local[N]); {_AGAIN}"
)
# Java's errors when a Python worker ends before it answers; only the stack trace shows that it was a worker.
_HUNG_UP: Final = r"(?:^|: )java\.(?:io\.EOFException|net\.SocketException: [^()]*)"
# Each pattern is searched in "TYPE: LINE" for the lines of an error. Types are at the beginning or after a colon, the
# system's messages after a colon, bracket or comma: names of files may contain the same words.
_REMEDIES: Final = (
    (
        r"(IOException|FileSystemException|OutOfMemoryError): (.*[:,(] ?)?(No space left on device|Disk quota exceeded)"
        r"|: Failed to create (any |a )?local dir",
        "the disk of Spark's shuffle files is full: free space there, or set spark.local.dir (on a cluster "
        f"SPARK_LOCAL_DIRS of the workers) to another directory; {_AGAIN}",
    ),
    (
        r"[]:,] (No space left on device|Disk quota exceeded)",
        "the disk of the corpus, an output or the temporary directory is full: free space there, or set TMPDIR (for "
        f"tasks spark.executorEnv.TMPDIR) to another directory; {_AGAIN}",
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
    # Containers killed by SIGKILL, and YARN's statuses for those that used too much memory.
    (r"exited with code 137\b|exit (code|status):? ?(137|-10[34])\b|beyond physical memory|OOMKilled", _PYTHON),
    (
        r"Python worker exited unexpectedly|Python worker failed to connect back|\w\.daemon's stdout"
        r"|Python daemon failed to launch worker"
        rf"|{_HUNG_UP} \(PythonWorkerFactory\)$",
        f"a worker crashed, or the system killed it for lack of memory; in that case (see dmesg), {_PYTHON}",
    ),
    (
        r"^(ConnectionRefusedError|Py4JNetworkError):|^Py4JError: Answer from Java side is empty",  # this process's own
        "Spark's JVM has ended: see its messages above; the system may have killed it for lack of memory (see dmesg), "
        f"or spark.local.dir can't be written; {_AGAIN}",
    ),
)
_CHAINED: Final = (
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
)


def root_cause(error: Exception) -> str:
    """What went wrong, in one line: for a failed task, the last line of the innermost Python traceback. If a machine
    lacked memory, disk space or the like, also what to do."""
    if isinstance(error, ValidationError):
        return f"{error}"
    kind = type(error).__name__
    if isinstance(error, SwallowSparkError):
        return f"{one_line(str(error))} ({kind})"
    lines = _told(str(error))
    foreign = [line for line in lines or [""] if not line.startswith(f"{__package__}.")]
    for sign, remedy in _REMEDIES:
        if shortages := [line for line in foreign if re.search(sign, f"{kind}: {line}")]:
            what = re.sub(r"^(Caused by|Suppressed):\s*", "", shortages[-1])
            return f"{f'{what} ({kind})' if what else kind}: {remedy}"
    causes = [line for line in lines if re.match(r"([\w.]+(Error|Exception|Full|Exit)\b|Caused by:)", line)]
    return f"{causes[-1].removeprefix('Caused by:').strip() if causes else lines[0] if lines else kind} ({kind})"


def _told(text: str) -> list[str]:
    """The lines of an error's text without those of code. A Python worker that hung up is marked, and of chained Python
    errors only the last is kept."""
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
