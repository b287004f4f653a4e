"""Ingest: input files to pages, failures and the ledger, in one pass."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyspark import TaskContext
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from swallow_spark.config.access import Access
from swallow_spark.corpus.write import WRITTEN, OpenOutputs, Outputs
from swallow_spark.errors import ChangedError, InputError, LedgerError, SwallowSparkError, is_shortage
from swallow_spark.files.http import HttpClient, Version
from swallow_spark.files.inputs import Format
from swallow_spark.files.ranges import Ranges
from swallow_spark.files.storage import is_uri, open_random_access, open_warc
from swallow_spark.files.unchanged import unchanged
from swallow_spark.kernels.html.imported import page_columns
from swallow_spark.kernels.html.page import Failure, Limits, Page, PassedOver, read_page
from swallow_spark.kernels.text.packed import DamagedError
from swallow_spark.kernels.warc import formats, warc
from swallow_spark.kernels.warc.ranges import RangeReader, Span, meet
from swallow_spark.stages.ingest.confined import ConfinedReader
from swallow_spark.stages.ingest.fetched import SelectedRecords, by_file
from swallow_spark.stages.remove.shipped import Shipped
from swallow_spark.tables import BYTES_PER_FILE_NO, FAILURES, LEDGER, PAGES, SELECTIONS, pack_doc_id

TABLES: Final = {"pages": PAGES, "failures": FAILURES, "ledger": LEDGER}
_SPAN: Final = "span"  # rows of `ingest` that list no file: their `sums` are the Span of a range
_ROWS_HELD: Final = 256
_BYTES_HELD: Final = 8 << 20

Ticker = Callable[[int, int], None]  # files, pages
Item = TypeVar("Item")

NOT_READ: Final = "not_read:"
"""Before `REASON:file_no`, or `REASON/FORMAT:file_no`, in the ledger's sums: that file could not be read, and a later
call retries it."""
UNSUPPORTED: Final = "unsupported_format"
_LOOKED_AT: Final = 8  # records that are no response, to tell a WET or WAT
_READING_ATTEMPTS: Final = 3  # of a task, before it skips a file; Spark's default allows four
PageReader = Callable[[warc.Record], Page | PassedOver | Failure]


class Source(NamedTuple):
    """An input file with its number, or the records that begin in a range of its bytes."""

    file_no: int
    path: str
    format: Format | None = None  # of extracted text; None: a WARC
    range: tuple[int, int] | None = None
    last_file_no: int | None = None  # of those reserved for it: one for each 4 GiB of its size
    version: Version = Version()
    records: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
    """Offsets, ascending, and lengths of the wanted records; None: all."""


class Into(NamedTuple):
    """What all files of a batch have in common."""

    crawl_no: int
    limits: Limits
    outputs: Outputs
    tick: Ticker
    access: Access
    removed: Shipped | None
    """Pages that are passed over."""


def ingest(spark: SparkSession, tasks: Sequence[Sequence[Source]], into: Into) -> DataFrame:
    """Reads each task's files and writes TABLES; a frame of what was written (write.WRITTEN).

    The ledger's sums are `records`, as counted while reading, and the number of each outcome; the pages' are `chars`;
    the failures' `file_failure:REASON`, except for failures of records. Ranges need their own tasks, and their rows
    count only if `whole` accepts them.

    A file that can't be read to its end fails the task. The task's last attempt skips it: all that it leaves are a row
    of failures and the mark NOT_READ. So does text (not WARC) of which no row can be used; but what could be read of
    damaged text stays.
    """

    def work(numbers: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        sources = (source for batch in numbers for number in batch.column(0).to_pylist() for source in tasks[number])
        return _ingest_sources(sources, into)

    return spark.range(0, len(tasks), 1, len(tasks)).mapInArrow(work, from_arrow_schema(WRITTEN))


def ingest_selected(selected: DataFrame, sources: Mapping[int, Source], num_tasks: int, into: Into) -> DataFrame:
    """As `ingest`, for the records that `selected` names (tables.SELECTIONS) of the files in `sources` (by number).
    Further sums of the ledger: `files` with wanted records, their `bytes_of_files`, and `bytes_fetched` of these."""

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        wanted = (
            sources[file_no]._replace(records=(offsets, lengths))
            for file_no, offsets, lengths in by_file(batches)
            if file_no in sources  # those of this batch
        )
        return _ingest_sources(wanted, into)

    ordered = selected.repartition(num_tasks, "file_no").sortWithinPartitions("file_no", "offset")
    return ordered.select(*SELECTIONS.names).mapInArrow(work, from_arrow_schema(WRITTEN))


def _ingest_sources(sources: Iterable[Source], into: Into) -> Iterator[pa.RecordBatch]:
    context = TaskContext.get()
    task, is_last = context.partitionId() if context else 0, _is_last_attempt()
    web = HttpClient(into.access)
    with into.outputs.open(task) as opened:
        for source in sources:
            span: Span | None = None
            try:
                if not is_last:
                    span = _ingest_one(source, into, opened, web)
                else:  # each file has its own outputs, so that one that breaks off leaves nothing
                    with into.outputs.open(task) as own:
                        span = _ingest_one(source, into, own, web)
                        yield own.written()
            except _UnreadableError as error:
                if not is_last and not error.format:
                    raise
                span = _give_up(source, error, opened)
                into.tick(int(not source.range or source.range[0] == 0), 0)
            if span:
                yield _span_row(span)
        yield opened.written()


def _ingest_one(source: Source, into: Into, opened: OpenOutputs, web: HttpClient) -> Span | None:
    ingested = _Ingested(source, into, opened, web)
    pages = ingested.read()
    into.tick(int(not source.range or source.range[0] == 0), pages)
    return ingested.span


def _give_up(source: Source, error: "_UnreadableError", opened: OpenOutputs) -> Span | None:
    """Marks a file for a later call to retry, or a range as damaged, so that its file is read as a whole."""
    if source.range:
        return Span(*source.range, damaged=True)
    row = {"scope": "file", "stage": "ingest", "reason": error.reason, "detail": str(error)[:1000]}
    failures = pa.RecordBatch.from_pylist([{"file_no": source.file_no, "offset": 0, **row}], FAILURES)
    opened.write("failures", failures, {f"file_failure:{error.reason}": 1})
    what = f"{error.reason}/{error.format}" if error.format else error.reason
    opened.write("ledger", _ledger(Counter()), {f"{NOT_READ}{what}:{source.file_no}": 1})
    return None


def _is_last_attempt() -> bool:
    context = TaskContext.get()
    return not context or context.attemptNumber() >= _READING_ATTEMPTS - 1


def _span_row(span: Span) -> pa.RecordBatch:
    sums = {name: int(value) for name, value in span._asdict().items() if value is not None}
    row = {"table": _SPAN, "path": "", "rows": 0, "bytes": 0, "sums": list(sums.items())}
    return pa.RecordBatch.from_pylist([row], WRITTEN)


def whole(written: Sequence[Row], outputs: Outputs) -> list[Row] | None:
    """What the ranges of one file wrote, as if it had been read in one piece: one row of the ledger for each outcome.
    None if the ranges don't make up the file: it is damaged, or holds another WARC."""
    sums = [dict(row["sums"]) for row in written if row["table"] == _SPAN]
    files = [row for row in written if row["table"] != _SPAN]
    if not meet([Span(**one) for one in sums]):
        for file in files:
            outputs.root.delete(file["path"])
        return None
    parts = [file for file in files if file["table"] == "ledger"]
    outcomes, totals = Counter[tuple[int, str]](), Counter[str]()
    for part in parts:
        totals.update(dict(part["sums"]))
        rows = pq.read_table(pa.BufferReader(outputs.root.read_bytes(part["path"])), schema=LEDGER).to_pylist()
        outcomes.update({(row["file_no"], row["outcome"]): row["num_records"] for row in rows})
        outputs.root.delete(part["path"])
    with outputs.open(0) as opened:
        opened.write("ledger", _ledger(outcomes), totals)
        ledger = opened.written().to_pylist()
    return [*(file for file in files if file["table"] != "ledger"), *ledger]


def _ledger(outcomes: Counter[tuple[int, str]]) -> pa.RecordBatch:
    rows = [
        {"file_no": file_no, "outcome": outcome, "num_records": number}
        for (file_no, outcome), number in sorted(outcomes.items())
    ]
    return pa.RecordBatch.from_pylist(rows, LEDGER)


@contextmanager
def _page_reader(limits: Limits) -> Iterator[PageReader]:
    """Reads pages in this process, or in a child if a page may have ended the process of an earlier attempt."""
    context = TaskContext.get()
    if context and context.attemptNumber() > 0:
        with ConfinedReader(limits) as reader:
            yield reader.read_page
    else:
        yield partial(read_page, limits=limits)


class _UnreadableError(Exception):
    """An input that can't be opened or read to its end. Never an error of writing the outputs."""

    def __init__(self, error: Exception, reason: str = "") -> None:
        super().__init__(str(error))
        self.reason = reason or ("changed" if isinstance(error, ChangedError) else "unreadable")
        self.is_damage = isinstance(error, (DamagedError, pa.ArrowException))
        """Whether what the file holds is at fault, so that nothing else would come of another attempt."""
        self.is_of_system = isinstance(error, OSError) and error.errno is not None
        self.format = ""
        """The format, if another attempt has the same result. Such a file has written no page."""


class _UnsupportedError(_UnreadableError):
    """A file of another format: `what` is its name, a semicolon, and more."""

    def __init__(self, what: str) -> None:
        super().__init__(InputError(what))
        self.reason = UNSUPPORTED
        self.format = what.partition(";")[0]


@contextmanager
def _opened(opening: Callable[..., Any], source: Source, web: HttpClient) -> Iterator[tuple[Any, Version]]:
    """An input, opened for a block, and its version. Raises _UnreadableError if it can't be opened, or is another file
    at the end of the block."""
    try:
        with unchanged(source.path) as version:
            with _reading_errors():
                stream = opening(source.path, web=web, expected=source.version)
            with closing(stream):
                yield stream, version
    except ChangedError as error:
        raise _UnreadableError(error) from error


def _reading(items: Iterable[Item]) -> Iterator[Item]:
    with _reading_errors():
        yield from items


@contextmanager
def _reading_errors() -> Iterator[None]:
    """Turns errors of reading, and only those, into _UnreadableError."""
    try:
        yield
    except (InputError, OSError, pa.ArrowException) as error:
        if is_shortage(error):
            raise
        raise _UnreadableError(error) from error


class _Ingested:
    """Reads one input file, or a range of one, into the outputs."""

    def __init__(self, source: Source, into: Into, opened: OpenOutputs, web: HttpClient) -> None:
        self._source, self._into, self._opened, self._web = source, into, opened, web
        self._limits = into.limits
        self._removed = into.removed.open() if into.removed else None
        self._records = 0
        self._outcomes: Counter[tuple[int, str]] = Counter()
        self._pages: list[dict[str, Any]] = []
        self._held_bytes = 0
        self._failures: list[dict[str, Any]] = []
        self._fetched: dict[str, int] = {}
        self._no_responses: list[str | None] = []
        """Which extract (WET, WAT) the first records that are no response belong to, or None."""
        self.span = Span(*source.range) if source.range else None

    def read(self) -> int:
        """Reads the file to its end; the number of pages. Raises _UnreadableError if it can't."""
        if self._source.records is not None:
            self._read_selected(self._source.records)
        elif self._source.format is None:
            self._read_warc()
        else:
            try:
                self._read_rows(self._source.format)
            except _UnreadableError as error:
                # For a damaged Parquet file PyArrow raises what it raises for a store that can't be reached.
                is_damage = error.is_damage or not (error.is_of_system or is_uri(self._source.path))
                is_damage &= error.reason == "unreadable"
                if self._holds_failures_alone() or not is_damage or not _is_last_attempt():
                    raise  # a slow server, or a file system that isn't mounted yet, may be there at the next attempt
                self._fail(0, "file", error.reason, str(error))
        self._check_responses()
        self._flush_pages()
        self._flush_failures()
        sums: Counter[str] = Counter({"records": self._records, **self._fetched})
        for (_, outcome), number in self._outcomes.items():
            sums[outcome] += number
        if self._records != self._outcomes.total():
            raise LedgerError(
                f"{self._source.path}: {self._records} records read, {self._outcomes.total()} accounted for"
            )
        self._opened.write("ledger", _ledger(self._outcomes), sums)
        return sums["page"]

    def _check_responses(self) -> None:
        """Raises _UnsupportedError for a WET or WAT file: no record is a response. Of a range, its span is damaged."""
        extract = next(filter(None, self._no_responses), None)
        if not extract or any(
            not outcome.startswith(("passed_over:not_a", "failure:")) for _, outcome in self._outcomes
        ):
            return
        if not self.span:
            raise _UnsupportedError(formats.without_responses(extract))
        self.span = self.span._replace(damaged=True)

    def _read_warc(self) -> None:
        max_bytes = self._limits.max_record_bytes
        with _opened(open_warc, self._source, self._web) as (stream, version), _page_reader(self._limits) as read:
            if self._source.range is None:
                self._read_items(_reading(warc.read(stream, max_record_bytes=max_bytes)), read)
            else:
                reader = RangeReader(stream, *self._source.range, max_bytes)
                self._read_items(_reading(reader), read)
                self.span = reader.span._replace(modified_ns=version.modified_ns)

    def _read_selected(self, records: tuple[NDArray[np.int64], NDArray[np.int64]]) -> None:
        how = (self._web.access.requests_at_once, self._web.access.max_gap_bytes, self._limits.max_record_bytes)
        with _opened(Ranges, self._source, self._web) as (ranges, _), _page_reader(self._limits) as read:
            selected = SelectedRecords(ranges, *records, *how)
            self._read_items(_reading(selected), read)
            bytes_of_file = max(0, ranges.version.bytes)
            self._fetched = {"files": 1, "bytes_fetched": selected.bytes_fetched, "bytes_of_files": bytes_of_file}
        if self._records != len(records[0]):
            raise LedgerError(f"{self._source.path}: {len(records[0])} records asked for, {self._records} read")

    def _read_items(self, items: Iterable[warc.Record | warc.Damage], read: PageReader) -> None:
        for item in items:
            if isinstance(item, warc.Damage):
                if item.reason == UNSUPPORTED:
                    raise _UnsupportedError(item.detail)
                self._records += item.scope == "record"
                self._fail(item.offset, item.scope, item.reason, item.detail)
                continue
            self._records += 1
            result = read(item)
            if isinstance(result, Page):
                self._keep(item.offset, result._asdict())
            elif isinstance(result, PassedOver):
                self._count(item.offset, f"passed_over:{result.reason}")
                if len(self._no_responses) < _LOOKED_AT and result.reason == "not_a_response":
                    self._no_responses.append(formats.extract(item))
            else:
                self._fail(item.offset, "record", result.reason, result.detail)

    def _read_rows(self, format: Format) -> None:
        problem: tuple[str, str] | None = None
        with _opened(open_random_access, self._source, self._web) as (stream, _):
            for row in _reading(format.rows(stream, self._limits.max_record_bytes)):
                self._records += 1
                if row.problem:
                    self._fail(row.number, "record", *row.problem)
                elif columns := page_columns(row):
                    self._keep(row.number, columns)
                else:
                    self._count(row.number, "passed_over:no_text")
                problem = problem or row.problem
            if problem and self._holds_failures_alone():
                raise _UnreadableError(InputError(f"none of its rows can be used; the first: {problem[1]}"), problem[0])

    def _holds_failures_alone(self) -> bool:
        return all(outcome.startswith("failure:") for _, outcome in self._outcomes)

    def _file_no(self, offset: int) -> int:
        file_no, last = self._source.file_no + offset // BYTES_PER_FILE_NO, self._source.last_file_no
        if last is not None and file_no > last:
            raise SwallowSparkError(f"{self._source.path}: larger than when it was registered: no numbers are left")
        return file_no

    def _count(self, offset: int, outcome: str) -> None:
        self._outcomes[self._file_no(offset), outcome] += 1

    def _keep(self, offset: int, columns: dict[str, Any]) -> None:
        if self._removed and self._removed.removed([columns["host"]], [columns["url"]])[0]:
            self._count(offset, "passed_over:removed")
            return
        doc_id = pack_doc_id(self._into.crawl_no, self._file_no(offset), offset % BYTES_PER_FILE_NO)
        self._count(offset, "page")
        self._pages.append({"doc_id": doc_id, **columns})
        self._held_bytes += columns["num_chars"] * 3
        if len(self._pages) >= _ROWS_HELD or self._held_bytes >= _BYTES_HELD:
            self._flush_pages()

    def _fail(self, offset: int, scope: str, reason: str, detail: str) -> None:
        if scope == "record":
            self._count(offset, f"failure:{reason}")
        row = {"scope": scope, "stage": "ingest", "reason": reason, "detail": detail[:1000]}
        self._failures.append({"file_no": self._file_no(offset), "offset": offset % BYTES_PER_FILE_NO, **row})
        if len(self._failures) >= _ROWS_HELD:
            self._flush_failures()

    def _flush_pages(self) -> None:
        if self._pages:
            batch = pa.RecordBatch.from_pylist(self._pages, PAGES)
            self._opened.write("pages", batch, {"chars": sum(page["num_chars"] for page in self._pages)})
            self._pages, self._held_bytes = [], 0

    def _flush_failures(self) -> None:
        if self._failures:
            sums = Counter(f"file_failure:{row['reason']}" for row in self._failures if row["scope"] != "record")
            self._opened.write("failures", pa.RecordBatch.from_pylist(self._failures, FAILURES), sums)
            self._failures = []
