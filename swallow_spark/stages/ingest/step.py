"""Registered inputs to pages, failures and the ledger, batch by batch."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from functools import partial
from threading import Lock
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark.addresses import shown
from swallow_spark.corpus.corpus import Corpus, NumberedFile, Unit
from swallow_spark.errors import LedgerError, SwallowSparkError
from swallow_spark.files.http import Version
from swallow_spark.files.inputs import format_of
from swallow_spark.files.storage import can_seek, is_uri
from swallow_spark.kernels import japanese
from swallow_spark.kernels.html import charset, html, imported, page
from swallow_spark.kernels.warc import warc
from swallow_spark.kernels.warc.ranges import cut
from swallow_spark.stages.ingest import tasks as stage
from swallow_spark.stages.ingest.by_index import check_selection, selected
from swallow_spark.stages.ingest.index import Selection
from swallow_spark.stages.remove.shipped import Shipped
from swallow_spark.stages.remove.step import ship_tombstones
from swallow_spark.stages.run import Run, in_flight
from swallow_spark.stages.stage import Stage
from swallow_spark.tables import FAILURES

_MOST_LOOKED_AT: Final = 1_000  # files, by the driver: some seconds
_MOST_NAMED: Final = 5  # files, in a message
_ADVICE: Final = {
    "not_json": "not_json: write each row as one JSON object on a line of its own, in UTF-8",
    "not_utf8": "not_utf8: write the texts in UTF-8",
    "no_text_column": "no_text_column: give each row its text as a string named `text`, or name its column by "
    "--text-column",
    "wrong_columns": "wrong_columns: give each row as many values as the header has; quote those with commas",
    stage.UNSUPPORTED: "name other files, or unpack or convert these",
    "record_too_large": "record_too_large: raise ingest.max_record_bytes, or write one row per line",
}
"""For files of which no row can be used, by the reason of their first row."""


def ingest(run: Run, crawl: str, selection: Selection | None = None) -> None:
    """Turns a crawl's pending input files, or the records of a selection, into pages, failures and ledger.

    Raises SwallowSparkError if none of this call's files can be read, or more can't than `ingest.max_failed_fraction`
    allows: what was read is committed by then, and the rest stays pending. Also if the files hold nothing but damage.
    """
    check_selection(run, crawl, selection)
    corpus, execution = run.corpus, run.config.execution
    # A file is read at the address that this call names: another mirror, or one with access that isn't stored.
    named: dict[str, Any] = {
        file.key: {"path": file.path, "etag": file.etag, "format": file.format} for file in run.inputs
    }
    pending = [file._replace(**named.get(file.key, {})) for file in corpus.pending(crawl)]
    if not pending:
        _check_any_record(run, crawl)
        return
    crawl_no = next(number for number, name in corpus.crawls().items() if name == crawl)
    size = execution.files_per_batch
    batches = [pending[start : start + size] for start in range(0, len(pending), size)]
    records = selected(run, crawl, crawl_no, selection) if selection else None
    details = {"selection": selection.meaning()} if selection else {}
    budget = _Budget(run.config.ingest.max_failed_fraction, len({*named, *(file.key for file in pending)}))
    budget.check(_unsupported(pending) if records is None else {})
    batch = _Batch(crawl, crawl_no, records, details, budget, ship_tombstones(run))
    with run.progress.stage("ingest", total=len(pending)) as tick:
        in_flight(run, partial(_ingest_batch, run, batch, tick), batches)
    _check_any_record(run, crawl)


def _allowed(fraction: float, num_files: int) -> int:
    return min(max(1, int(fraction * num_files)) if fraction else 0, num_files - 1)


class _Budget:
    """How many files of a call may be unreadable: a share, and never all. Files that an earlier call has read count, so
    that a few unreadable ones don't fail every later call."""

    def __init__(self, fraction: float, num_files: int) -> None:
        self._allowed = _allowed(fraction, num_files)
        self._num_files = num_files
        self._failed: list[str] = []
        self._reasons: set[str] = set()
        self._detail = ""
        self._lock = Lock()

    def check(self, formats: Mapping[str, str]) -> None:
        """Raises SwallowSparkError if files, by path, with formats that aren't read are too many."""
        self._compare([_with_format(path, format) for path, format in formats.items()], {stage.UNSUPPORTED}, "")

    def spend(
        self, files: Sequence[NumberedFile], reasons: set[str], detail: str, formats: Mapping[int, str] | None = None
    ) -> None:
        """Raises SwallowSparkError when too many files can't be read. detail: of the first of these files; formats: of
        those of another format."""
        with self._lock:
            self._failed += [_with_format(file.path, (formats or {}).get(file.file_no)) for file in files]
            self._reasons |= reasons
            self._detail = self._detail or detail
            if files:
                self._compare(self._failed, self._reasons, self._detail)

    def _compare(self, failed: Sequence[str], reasons: set[str], detail: str) -> None:
        if not failed or len(failed) <= self._allowed:
            return
        advice = [text for reason, text in _ADVICE.items() if reason in reasons]
        first = [f"the first: {detail}"] if detail else []
        retry = [] if reasons == {stage.UNSUPPORTED} else ["the same command retries them"]
        files = "; ".join([_listed(failed), *first, *advice, *retry])
        if len(failed) == self._num_files:
            question = " (can the workers reach them?)" if "unreadable" in reasons else ""
            raise SwallowSparkError(f"none of the files can be read{question}: {files}")
        raise SwallowSparkError(
            f"{len(failed)} of {self._num_files} files can't be read, and {self._allowed} may "
            f"(ingest.max_failed_fraction): {files}"
        )


def _with_format(path: str, format: str | None) -> str:
    return f"{shown(path)} ({format})" if format else shown(path)


def _unsupported(files: Sequence[NumberedFile]) -> dict[str, str]:
    """path -> format, of local files in which no page can be, by their first bytes."""
    found: dict[str, str] = {}
    for file in files[:_MOST_LOOKED_AT]:
        if file.format != "warc" or is_uri(file.path):
            continue
        with suppress(OSError), open(file.path, "rb") as stream:  # the task that reads it will say what is wrong
            if what := warc.unsupported(stream):
                found[file.path] = what.partition(";")[0]
    return found


def _listed(paths: Sequence[str]) -> str:
    more = len(paths) - _MOST_NAMED
    return ", ".join(paths[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _check_any_record(run: Run, crawl: str) -> None:
    """Raises SwallowSparkError, at each call, if a crawl's files hold nothing, or nothing but damage, or more of them
    are no WARC than may be unreadable."""
    batches = run.corpus.manifests("ingest", f"crawl={crawl}/")
    reasons = sorted({n.partition(":")[2] for batch in batches for n in batch.counts if n.startswith("file_failure:")})
    if batches and not any(batch.counts.get("records") or "selection" in batch.details for batch in batches):
        paths = [shown(file.path) for file in run.corpus.inputs(crawl)]
        raise SwallowSparkError(
            f"not one record in the files of crawl {crawl} ({', '.join(reasons) or 'no rows'}): {_listed(paths)}; "
            f"`swallow-spark discard --crawl {crawl}` removes them from the corpus"
        )
    number = sum(batch.counts.get("file_failure:not_a_warc", 0) for batch in batches)
    num_files = sum(last - first + 1 for batch in batches for first, last in batch.covers)
    if number > (allowed := _allowed(run.config.ingest.max_failed_fraction, num_files)):
        raise SwallowSparkError(
            f"{number} of {num_files} files of crawl {crawl} are no WARC, and {allowed} may "
            "(ingest.max_failed_fraction): the table `failures` names them (reason not_a_warc); raise the limit, or "
            f"remove the crawl by `swallow-spark discard --crawl {crawl}`"
        )


class _Batch(NamedTuple):
    """What all batches of a run have in common."""

    crawl: str
    crawl_no: int
    records: DataFrame | None
    details: dict[str, Any]
    budget: _Budget
    removed: Shipped | None


def _ingest_batch(run: Run, batch: _Batch, tick: stage.Ticker, files: Sequence[NumberedFile]) -> None:
    due = run.lineage.made("ingest", _unit_name(run.corpus, batch.crawl, files))
    outputs = run.corpus.outputs(due.unit, due.stage.tables(run.config, ""), {batch.crawl_no: batch.crawl})
    section, cores = run.config.ingest, run.spark.sparkContext.defaultParallelism
    limits = page.Limits(**{field.name: getattr(section, field.name) for field in fields(page.Limits)})
    into = stage.Into(batch.crawl_no, limits, outputs, tick, section.access(cores), batch.removed)
    if batch.records is None:
        rows = _read_files(run, files, into)
    else:
        wanted = batch.records.where(F.col("file_no").between(files[0].file_no, files[-1].last_file_no))
        sources = {file.file_no: _source(file) for file in files}
        num_tasks = _num_tasks(len(files), cores, run.config.execution.files_per_task)
        rows = stage.ingest_selected(wanted, sources, num_tasks, into).collect()
    written = [row.asDict() if isinstance(row, Row) else row for row in rows]
    not_read, formats = _take_not_read(written)
    _check_ledger(due.unit, written)
    if batch.records is not None:  # files without wanted records are done too
        tick(len(files) - len(not_read) - sum(dict(row["sums"]).get("files", 0) for row in written), 0)
    covers = [(file.file_no, file.last_file_no) for file in files if file.file_no not in not_read]
    details = {
        **batch.details,
        **({"not_read": not_read} if not_read else {}),
        **({"formats": formats} if formats else {}),
    }
    due.commit(run.corpus, written, covers=_merged(covers), details=details)
    failed = [file for file in files if file.file_no in not_read]
    batch.budget.spend(failed, set(not_read.values()), _why(run.corpus, written, failed[0]) if failed else "", formats)


def _why(corpus: Corpus, written: Sequence[dict[str, Any]], file: NumberedFile) -> str:
    """Why a file could not be read, as its row of failures says."""
    for path in (row["path"] for row in written if row["table"] == "failures"):
        for row in pq.read_table(pa.BufferReader(corpus.root.read_bytes(path)), schema=FAILURES).to_pylist():
            if (row["file_no"], row["scope"]) == (file.file_no, "file"):
                return str(row["detail"])
    return ""


def _read_files(run: Run, files: Sequence[NumberedFile], into: stage.Into) -> list[Any]:
    """Reads whole files: each in one piece or, if there are fewer files than cores, in ranges by several tasks."""
    execution, cores = run.config.execution, run.spark.sparkContext.defaultParallelism

    def read(tasks: list[list[stage.Source]]) -> list[Any]:
        return stage.ingest(run.spark, tasks, into).collect() if tasks else []

    in_pieces: list[NumberedFile] = []
    written: list[Any] = []
    for file in files if len(files) < cores else ():
        ranges = _ranges(file, execution.min_bytes_per_range, 2 * cores)
        parts = [[_source(file)._replace(range=r)] for r in ranges]
        if len(ranges) > 1 and (found := stage.whole(read(parts), into.outputs)):
            in_pieces.append(file)
            written += found
    rest = [file for file in files if file not in in_pieces]
    return written + read(_tasks(rest, cores, execution.files_per_task))


def _unit_name(corpus: Corpus, crawl: str, files: Sequence[NumberedFile]) -> str:
    """A name that no batch has: retried files may have a batch's first and last number, and would replace it."""
    name = first = f"crawl={crawl}/{files[0].file_no:07}-{files[-1].last_file_no:07}"
    number = 1
    while (batch := corpus.manifest(Unit("ingest", name))) and batch.covers:
        number += 1
        name = f"{first}-{number}"
    return name


def _take_not_read(written: list[dict[str, Any]]) -> tuple[dict[int, str], dict[int, str]]:
    """Takes the marks of files that could not be read out of the rows: file_no -> reason, and file_no -> format
    of those of another format. They stay pending."""
    reasons: dict[int, str] = {}
    formats: dict[int, str] = {}
    for row in written:
        row["sums"] = sums = dict(row["sums"])
        for name in [name for name in sums if name.startswith(stage.NOT_READ)]:
            what, _, number = name.removeprefix(stage.NOT_READ).rpartition(":")
            reasons[int(number)], _, format = what.partition("/")
            if format:
                formats[int(number)] = format
            del sums[name]
    return reasons, formats


def _check_ledger(unit: Unit, written: Sequence[Any]) -> None:
    """Checks that records read = pages + passed over + failures in what all tasks wrote. Raises LedgerError."""
    sums = Counter[str]()
    for row in written:
        sums.update(dict(row["sums"]))
    outcomes = sum(value for name, value in sums.items() if name.startswith(("passed_over:", "failure:")))
    pages = sum(row["rows"] for row in written if row["table"] == "pages")
    if sums["records"] != pages + outcomes or sums["page"] != pages:
        raise LedgerError(f"{unit.name}: {sums['records']} records read, but {pages} pages + {outcomes} others")


def _ranges(file: NumberedFile, min_bytes: int, max_ranges: int) -> list[tuple[int, int]]:
    """The ranges in which several cores read a file; a single one if it can't be cut."""
    is_warc_gz = file.format == "warc" and file.path.endswith(".gz") and not file.path.endswith(".arc.gz")
    can_be_cut = is_warc_gz and can_seek(file.path)
    return cut(file.bytes, min_bytes, max_ranges) if can_be_cut else [(0, file.bytes)]


def _source(file: NumberedFile) -> stage.Source:
    version = Version(file.bytes, file.etag)
    format = None if file.format == "warc" else format_of(file.format)
    return stage.Source(file.file_no, file.path, format, last_file_no=file.last_file_no, version=version)


def _num_tasks(num_files: int, cores: int, files_per_task: int) -> int:
    return min(num_files, max(2 * cores, -(-num_files // files_per_task)))


def _tasks(files: Sequence[NumberedFile], cores: int, files_per_task: int) -> list[list[stage.Source]]:
    """Files shared out evenly by size: enough tasks to keep all cores busy, few enough for large output files."""
    number = _num_tasks(len(files), cores, files_per_task)
    tasks: list[tuple[int, list[NumberedFile]]] = [(0, []) for _ in range(number)]
    for file in sorted(files, key=lambda file: (-file.bytes, file.file_no)):
        lightest = min(range(number), key=lambda task: tasks[task][0])
        load, members = tasks[lightest]
        tasks[lightest] = load + max(file.bytes, 1), [*members, file]
    return [[_source(file) for file in sorted(members)] for _, members in tasks]


def _merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and merged[-1][1] + 1 == first:
            merged[-1] = merged[-1][0], last
        else:
            merged.append((first, last))
    return merged


STAGE: Final = Stage(
    "ingest",
    each="batch",
    uniform=True,
    tables=lambda config, _: stage.TABLES,
    meaning=lambda config, _: config.ingest.meaning(),
    versions=lambda config, _: {
        "swallow_spark.kernels.warc": warc.VERSION,
        "swallow_spark.kernels.page": page.VERSION,
        "swallow_spark.kernels.charset": charset.VERSION,
        "swallow_spark.kernels.html": html.VERSION,
        "swallow_spark.kernels.japanese": japanese.VERSION,
        "swallow_spark.kernels.imported": imported.VERSION,
    },
)
