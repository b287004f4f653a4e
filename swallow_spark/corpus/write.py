"""Tables written inside tasks: a task writes its Parquet files and returns a row for each file.

So one scan can fill several tables, text never crosses from Python to the JVM, and a corpus can be on any store that
`pyarrow.fs` reaches. Files of failed attempts and killed runs are on no list and are never read.
"""

import contextlib
import io
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Final, NamedTuple, Self
from uuid import uuid4

import deflate
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark import TaskContext
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema

from swallow_spark import __version__
from swallow_spark.corpus.read import Scan
from swallow_spark.errors import VersionError, filling
from swallow_spark.files.storage import Root
from swallow_spark.tables import CRAWL_SHIFT

# `sums`: other counts of the writer, e.g. characters, or records by outcome.
WRITTEN: Final = pa.schema(
    [
        pa.field("table", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("rows", pa.int64(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("crc32", pa.int64()),  # of the whole file
        pa.field("sums", pa.map_(pa.string(), pa.int64()), nullable=False),
        pa.field("cpu_seconds", pa.float64()),  # of the task's Python for all its files, on its first row
    ]
)
ROW_GROUP_BYTES: Final = 32 << 20  # that a task holds of each table
FILE_BYTES: Final = 256 << 20


@dataclass(frozen=True)
class Outputs:
    """Where a unit writes each of its tables: `directories[table]` maps crawl_no to a directory, relative to the root.
    If a table has several directories, a row's doc_id decides."""

    root: Root
    schemas: Mapping[str, pa.Schema]
    directories: Mapping[str, Mapping[int, str]]
    version: str = __version__
    """The driver's release of the package; the code itself isn't compared."""

    def open(self, task: int) -> "OpenOutputs":
        """The files of a task. Raises VersionError if the executor's package isn't the driver's release."""
        if self.version != __version__:
            raise VersionError(
                f"swallow-spark {__version__} on {socket.gethostname()}, and {self.version} in the driver: "
                "executors need the driver's release (PYSPARK_PYTHON, or the archive of --archives)"
            )
        return OpenOutputs(self, task)


class OpenOutputs:
    """The open files of one attempt of a task, in a `with` block."""

    def __init__(self, outputs: Outputs, task: int) -> None:
        self._outputs = outputs
        self._name = f"part-{task:05d}-{uuid4().hex[:12]}"
        self._files: dict[str, _File] = {}
        self._written: list[dict[str, Any]] = []
        self._cpu_before = time.process_time()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for file in self._files.values():
            file.abandon()

    def write(self, table: str, batch: pa.RecordBatch, sums: Mapping[str, int] | None = None) -> None:
        """Appends rows (the table's columns in any order). `sums` are added up per file; if the rows go to several
        directories, in the first."""
        directories = self._outputs.directories[table]
        if len(directories) == 1:
            self._append(table, next(iter(directories.values())), batch, sums)
            return
        crawl_nos = batch.column("doc_id").to_numpy() >> CRAWL_SHIFT
        for crawl_no in np.unique(crawl_nos):
            part = batch.filter(pa.array(crawl_nos == crawl_no))
            self._append(table, directories[int(crawl_no)], part, sums)
            sums = None

    def _append(self, table: str, directory: str, batch: pa.RecordBatch, sums: Mapping[str, int] | None) -> None:
        if directory not in self._files:
            number = sum(entry["path"].startswith(f"{directory}/") for entry in self._written)
            path = f"{directory}/{self._name}-{number}.parquet"
            self._files[directory] = _File(self._outputs.root, table, path, self._outputs.schemas[table])
        file = self._files[directory]
        file.append(batch, sums or {})
        if file.bytes_written >= FILE_BYTES:
            self._written.append(self._files.pop(directory).close())

    def written(self) -> pa.RecordBatch:
        """Closes the files and lists them (schema WRITTEN)."""
        while self._files:
            self._written.append(self._files.pop(next(iter(self._files))).close())
        if self._written:
            self._written[0]["cpu_seconds"] = time.process_time() - self._cpu_before
        return pa.RecordBatch.from_pylist(self._written, schema=WRITTEN)


class _Summed(io.RawIOBase):
    """Counts the bytes written to a stream, and computes their CRC-32. The caller closes the stream."""

    def __init__(self, stream: Any, place: str) -> None:
        self.bytes = self.crc32 = 0
        self._stream = stream
        self._place = place

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        with filling(self._place):
            self._stream.write(data)
        size = memoryview(data).nbytes
        self.crc32 = deflate.crc32(data, self.crc32)
        self.bytes += size
        return size


@dataclass
class _File:
    root: Root
    table: str
    path: str
    schema: pa.Schema
    rows: int = 0
    sums: dict[str, int] = field(default_factory=dict)
    _held: list[pa.RecordBatch] = field(default_factory=list)
    _held_bytes: int = 0

    def __post_init__(self) -> None:
        self._stream = self.root.open_output(self.path)
        self._summed = _Summed(self._stream, f"{self.root.location}/{self.path}")
        self._writer = pq.ParquetWriter(
            self._summed, self.schema, compression="zstd", compression_level=3, write_page_checksum=True
        )

    @property
    def bytes_written(self) -> int:
        return self._summed.bytes

    def append(self, batch: pa.RecordBatch, sums: Mapping[str, int]) -> None:
        self._held.append(batch.select(self.schema.names).cast(self.schema))
        self._held_bytes += batch.nbytes
        self.rows += batch.num_rows
        for name, value in sums.items():
            self.sums[name] = self.sums.get(name, 0) + value
        if self._held_bytes >= ROW_GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._held:
            self._writer.write_table(pa.Table.from_batches(self._held, self.schema))
            self._held, self._held_bytes = [], 0

    def close(self) -> dict[str, Any]:
        self._flush()
        self._writer.close()
        with filling(f"{self.root.location}/{self.path}"):  # some stores report errors only here
            self._stream.close()
        return {
            "table": self.table,
            "path": self.path,
            "rows": self.rows,
            "bytes": self._summed.bytes,
            "crc32": self._summed.crc32,
            "sums": list(self.sums.items()),
        }

    def abandon(self) -> None:
        """Closes the file after a failure."""
        with contextlib.suppress(OSError, pa.ArrowException):  # the failure that led here is the one to report
            self._writer.close()
            self._stream.close()


class Rows(NamedTuple):
    """Rows to write to a table, and counts to add up."""

    table: str
    batch: pa.RecordBatch
    sums: Mapping[str, int] | None = None


Work = Callable[[Iterator[pa.RecordBatch]], Iterator[Rows]]


def write_tables(rows: DataFrame | Scan, columns: Sequence[str], work: Work, outputs: Outputs) -> DataFrame:
    """Maps `work` over batches of these columns, and writes its rows inside the tasks: all tasks that write use this.
    Gives a frame with the schema WRITTEN."""
    return rows.select(*columns).mapInArrow(partial(_task, work=work, outputs=outputs), from_arrow_schema(WRITTEN))


def _task(batches: Iterator[pa.RecordBatch], work: Work, outputs: Outputs) -> Iterator[pa.RecordBatch]:
    context = TaskContext.get()
    with outputs.open(context.partitionId() if context else 0) as opened:
        for rows in work(batches):
            opened.write(*rows)
        yield opened.written()


class Kernel(NamedTuple):
    """Computes the rows of a table in the task that writes them, so that they don't pass through the JVM."""

    work: Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]
    schema: pa.Schema


def write(
    df: DataFrame,
    table: str,
    outputs: Outputs,
    sums: Callable[[pa.RecordBatch], dict[str, int]] | None = None,
    by: Kernel | None = None,
) -> list[Any]:
    """Writes a frame, or what `by` computes from it, as a table. Returns a row per file (schema WRITTEN)."""
    work = partial(_as_table, table=table, sums=sums, by=by)
    return write_tables(df, df.columns, work, outputs).collect()


def _as_table(
    batches: Iterator[pa.RecordBatch],
    table: str,
    sums: Callable[[pa.RecordBatch], dict[str, int]] | None,
    by: Kernel | None,
) -> Iterator[Rows]:
    for batch in by.work(batches) if by else batches:
        if batch.num_rows:
            yield Rows(table, batch, sums(batch) if sums else None)
