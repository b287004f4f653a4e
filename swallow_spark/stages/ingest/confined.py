"""Pages read in a child process: one that crashes the parser, hangs it or takes too much memory costs only itself.

`read_page` ends a process that hangs in a page (its watchdog); Spark then retries the task, and that attempt reads its
pages here. So the first attempt pays nothing, and gives the same pages.
"""

import json
import os
import resource
import signal
import struct
import subprocess
import sys
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict
from datetime import datetime
from typing import IO, Any, Final

from swallow_spark.kernels.html.page import Failure, Limits, Page, PassedOver, read_page
from swallow_spark.kernels.warc.records import Record

__all__ = ["ConfinedReader"]

MEMORY_BYTES: Final = 1 << 30  # that a page may add to those of a child at rest
_SIZES: Final = struct.Struct("<QQ")
_ANSWERS: Final = {kind.__name__: kind for kind in (Page, PassedOver, Failure)}
_PROGRAM: Final = "from swallow_spark.stages.ingest import confined; confined.serve()"
_READY: Final = "ready"
_TOO_LITTLE: Final = "too little memory"
_OUT_OF_MEMORY: Final = 77  # exit status
_WARM_UP: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html lang=ja><p>\xe3\x81\x82</p></html>"


class ConfinedReader(AbstractContextManager["ConfinedReader"]):
    """`read_page` in a child process, which is restarted after a page has ended it. Used as a context manager.

    The child is a new interpreter, not a fork: the parent has threads (Arrow's), whose locks a fork would copy.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._child: subprocess.Popen[bytes] | None = None

    def __exit__(self, *_: object) -> None:
        self._end()

    def read_page(self, record: Record) -> Page | PassedOver | Failure:
        """As `page.read_page`; Failure `crashed` or `timed_out` if the page ended the child.

        Raises RuntimeError if the child can't be started, MemoryError if it can't have the memory that pages may take.
        """
        child = self._child or self._start()
        assert child.stdin
        assert child.stdout
        try:
            _send(child.stdin, [record.offset, record.length, record.headers], record.block)
            (kind, *values), _ = _receive(child.stdout)
            answer: Page | PassedOver | Failure = _ANSWERS[kind](*values)
            if isinstance(answer, Page) and answer.date:
                return answer._replace(date=datetime.fromisoformat(values[Page._fields.index("date")]))
        except (EOFError, BrokenPipeError):
            return self._failure()
        except (KeyError, TypeError, ValueError):  # the page has taken over the child
            child.kill()
            return self._failure()
        return answer

    def _start(self) -> subprocess.Popen[bytes]:
        # The path travels as an argument: a worker's modules may come from archives that only sys.path knows.
        program = f"import sys; sys.path[:] = {sys.path!r}; {_PROGRAM}"
        # Arrow's own allocator reserves 1 GiB of addresses at first use (a page in Brotli): all that a page may take.
        environment = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"}
        child = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        assert child.stdin
        assert child.stdout
        self._child = child
        try:
            _send(child.stdin, asdict(self._limits))
            ready, _ = _receive(child.stdout)
        except (EOFError, BrokenPipeError, ValueError):
            ready = None
        if ready == _TOO_LITTLE:
            self._end()
            raise MemoryError(f"spark.executor.pyspark.memory is too small: a page may take {MEMORY_BYTES >> 20} MiB")
        if ready != _READY:
            raise RuntimeError(f"the child process for reading pages did not start (exit status {self._end()})")
        return child

    def _failure(self) -> Failure:
        status = self._end()
        if status in (-signal.SIGPROF, -signal.SIGALRM):
            return Failure("timed_out", f"parsing took more than {self._limits.max_seconds_per_page:g} CPU seconds")
        if status == _OUT_OF_MEMORY:
            return Failure("crashed", f"parsing took more than {MEMORY_BYTES >> 20} MiB of memory")
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        return Failure("crashed", f"parsing ended the process ({how})")

    def _end(self) -> int:
        """Ends the child; its exit status, negative for a signal."""
        child, self._child = self._child, None
        if child is None:
            return 0
        assert child.stdin
        assert child.stdout
        with suppress(BrokenPipeError):  # it has ended already
            child.stdin.close()  # it ends at the end of its input
        child.stdout.close()
        return child.wait()


def serve() -> None:
    """The child: answers each record on standard input, to the end of the input."""
    records, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # prints must not look like answers
    limits = Limits(**_receive(records)[0])
    read_page(Record(0, 0, {"warc-type": "response"}, _WARM_UP), limits)  # loads and compiles what is needed
    if sys.platform == "linux":
        with open("/proc/self/statm") as sizes:
            at_rest = int(sizes.read().split()[0]) * resource.getpagesize()
        try:
            resource.setrlimit(resource.RLIMIT_AS, (at_rest + MEMORY_BYTES,) * 2)
        except ValueError:  # only root may raise the worker's own limit (spark.executor.pyspark.memory)
            _send(answers, _TOO_LITTLE)  # otherwise a page's outcome would depend on it
            return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _send(answers, _READY)
    try:
        while True:
            (offset, length, headers), block = _receive(records)
            answer = read_page(Record(offset, length, headers, block), limits)
            values = [value.isoformat() if isinstance(value, datetime) else value for value in answer]
            _send(answers, [type(answer).__name__, *values])
    except EOFError:
        return
    except MemoryError:  # the next page gets a fresh child
        sys.exit(_OUT_OF_MEMORY)


def _send(stream: IO[bytes], value: Any, block: bytes = b"") -> None:
    """JSON, then bytes. Not pickle, by which a child that a page has taken over could send code."""
    data = json.dumps(value).encode()
    stream.write(_SIZES.pack(len(data), len(block)) + data)
    stream.write(block)
    stream.flush()


def _receive(stream: IO[bytes]) -> tuple[Any, bytes]:
    """The next value, and the bytes after it. Raises EOFError if the other side has ended, ValueError for nonsense."""
    sizes = stream.read(_SIZES.size)
    if len(sizes) < _SIZES.size:
        raise EOFError
    data_bytes, block_bytes = _SIZES.unpack(sizes)
    if max(data_bytes, block_bytes) > MEMORY_BYTES:
        raise ValueError("more than a page can have")
    data, block = stream.read(data_bytes), stream.read(block_bytes)
    try:
        return json.loads(data), block
    except RecursionError:
        raise ValueError("nested too deeply") from None
