"""Registered inputs to pages, failures and the ledger, batch by batch."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from functools import partial
from threading import Lock
from typing import Any, Final, NamedTuple

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark.addresses import shown
from swallow_spark.corpus.corpus import Corpus, NumberedFile, Unit
from swallow_spark.errors import LedgerError, SwallowSparkError
from swallow_spark.files.http import Version
from swallow_spark.files.inputs import TEXT_FORMATS
from swallow_spark.files.storage import can_seek
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
from swallow_spark.tables import InputFile

_MOST_NAMED: Final = 5  # files, in a message


def ingest(run: Run, crawl: str, selection: Selection | None = None) -> None:
    """The registered inputs of a crawl that no batch covers, to pages, failures and ledger: all of their records, or
    those of a selection.

    Raises SwallowSparkError where more of the files that this call is about can't be read than
    `ingest.max_failed_fraction` allows, or none of them can; what could be read is committed by then, and the rest
    stays pending. Also where damage is all that the crawl's files hold.
    """
    check_selection(run, crawl, selection)
    corpus, execution = run.corpus, run.config.execution
    named = {file.key: file for file in run.inputs}
    pending = [_as_named(file, named.get(file.key)) for file in corpus.pending(crawl)]
    if not pending:
        _check_any_record(run, crawl)
        return
    crawl_no = next(number for number, name in corpus.crawls().items() if name == crawl)
    batches = _batches(pending, execution.files_per_batch)
    records = selected(run, crawl, crawl_no, selection) if selection else None
    details = {"selection": selection.meaning()} if selection else {}
    budget = _Budget(run.config.ingest.max_failed_fraction, len({*named, *(file.key for file in pending)}))
    batch = _Batch(crawl, crawl_no, records, details, budget, ship_tombstones(run))
    with run.progress.stage("ingest", total=len(pending)) as tick:
        in_flight(run, partial(_ingest_batch, run, batch, tick), batches)
    _check_any_record(run, crawl)


def _as_named(file: NumberedFile, named: InputFile | None) -> NumberedFile:
    """A file where this call says that it is: by another mirror than once, perhaps, or with access that isn't stored.
    What its numbers were given by stays."""
    return file._replace(path=named.path, etag=named.etag) if named else file


class _Budget:
    """How many files of a call may be unreadable: a share of them, and never all. Those that an earlier call has read
    count, so that a few that can't be read don't fail each later call."""

    def __init__(self, fraction: float, num_files: int) -> None:
        self._allowed = min(max(1, int(fraction * num_files)) if fraction else 0, num_files - 1)
        self._num_files = num_files
        self._failed: list[str] = []
        self._lock = Lock()

    def spend(self, files: Sequence[NumberedFile]) -> None:
        """Raises SwallowSparkError where it is overspent."""
        with self._lock:
            self._failed += [file.path for file in files]
            if files and len(self._failed) > self._allowed:
                told = f"{_listed(self._failed)}; the same command tries them again"
                if len(self._failed) == self._num_files:
                    raise SwallowSparkError(f"none of the files can be read (can the workers reach them?): {told}")
                raise SwallowSparkError(
                    f"{len(self._failed)} of {self._num_files} files can't be read, and {self._allowed} may "
                    f"(ingest.max_failed_fraction): {told}"
                )


def _listed(paths: Sequence[str]) -> str:
    more = len(paths) - _MOST_NAMED
    return ", ".join(map(shown, paths[:_MOST_NAMED])) + (f" and {more} more" if more > 0 else "")


def _check_any_record(run: Run, crawl: str) -> None:
    """Raises SwallowSparkError, at each call, where damage is all that the files of a crawl hold."""
    batches = run.corpus.manifests("ingest", f"crawl={crawl}/")
    reasons = sorted({n.partition(":")[2] for batch in batches for n in batch.counts if n.startswith("file_failure:")})
    if reasons and not any(batch.counts.get("records") or "selection" in batch.details for batch in batches):
        paths = [file.path for file in run.corpus.inputs(crawl)]
        raise SwallowSparkError(
            f"not one record in the files of crawl {crawl} ({', '.join(reasons)}): {_listed(paths)}; "
            f"`swallow-spark discard --crawl {crawl}` takes them out"
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
    how = (batch.crawl_no, limits, outputs, tick, section.access(cores), batch.removed)
    if batch.records is None:
        rows = _read_files(run, files, how)
    else:
        wanted = batch.records.where(F.col("file_no").between(files[0].file_no, files[-1].last_file_no))
        sources = {file.file_no: _source(file) for file in files}
        num_tasks = _num_tasks(len(files), cores, run.config.execution.files_per_task)
        rows = stage.ingest_selected(wanted, sources, num_tasks, *how).collect()
    written, not_read = _without_not_read([row.asDict() if isinstance(row, Row) else row for row in rows])
    _check_ledger(due.unit, written)
    if batch.records is not None:  # files of which nothing is wanted are done as well
        tick(len(files) - len(not_read) - sum(dict(row["sums"]).get("files", 0) for row in written), 0)
    covers = [(file.file_no, file.last_file_no) for file in files if file.file_no not in not_read]
    details = {**batch.details, **({"not_read": not_read} if not_read else {})}
    due.commit(run.corpus, written, covers=_merged(covers), details=details)
    batch.budget.spend([file for file in files if file.file_no in not_read])


def _read_files(run: Run, files: Sequence[NumberedFile], how: tuple[Any, ...]) -> list[Any]:
    """Reads whole files: each in one piece, or where there are fewer than cores, in ranges by several tasks."""
    execution, cores = run.config.execution, run.spark.sparkContext.defaultParallelism

    def read(tasks: list[list[stage.Source]]) -> list[Any]:
        return stage.ingest(run.spark, tasks, *how).collect() if tasks else []

    in_pieces: list[NumberedFile] = []
    written: list[Any] = []
    for file in files if len(files) < cores else ():
        ranges = _ranges(file, execution.min_bytes_per_range, 2 * cores)
        parts = [[_source(file)._replace(range=r)] for r in ranges]
        if len(ranges) > 1 and (found := stage.whole(read(parts), how[2])):
            in_pieces.append(file)
            written += found
    rest = [file for file in files if file not in in_pieces]
    return written + read(_tasks(rest, cores, execution.files_per_task))


def _unit_name(corpus: Corpus, crawl: str, files: Sequence[NumberedFile]) -> str:
    """A name that no batch has: files that are tried again may have the first and the last number of one, and would
    take its place."""
    name = first = f"crawl={crawl}/{files[0].file_no:07}-{files[-1].last_file_no:07}"
    number = 1
    while (batch := corpus.manifest(Unit("ingest", name))) and batch.covers:
        number += 1
        name = f"{first}-{number}"
    return name


def _without_not_read(written: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[int, str]]:
    """The rows without the marks of files that could not be read, and the numbers of those files with the reasons: they
    stay pending, so the same command tries them again."""
    numbers: dict[int, str] = {}
    for row in written:
        sums = dict(row["sums"])
        for name in [name for name in sums if name.startswith(stage.NOT_READ)]:
            reason, _, number = name.removeprefix(stage.NOT_READ).rpartition(":")
            numbers[int(number)] = reason
            del sums[name]
        row["sums"] = sums
    return written, numbers


def _check_ledger(unit: Unit, written: Sequence[Any]) -> None:
    """Records read = pages + passed over + failures, as the tasks have found for each file, holds of the rows that were
    written."""
    sums: dict[str, int] = {}
    for row in written:
        for name, value in dict(row["sums"]).items():
            sums[name] = sums.get(name, 0) + value
    outcomes = sum(value for name, value in sums.items() if name.startswith(("passed_over:", "failure:")))
    pages = sum(row["rows"] for row in written if row["table"] == "pages")
    if sums.get("records", 0) != pages + outcomes or sums.get("page", 0) != pages:
        raise LedgerError(f"{unit.name}: {sums.get('records', 0)} records read, but {pages} pages + {outcomes} others")


def _batches(files: Sequence[NumberedFile], size: int) -> list[Sequence[NumberedFile]]:
    return [files[start : start + size] for start in range(0, len(files), size)]


def _ranges(file: NumberedFile, min_bytes: int, max_ranges: int) -> list[tuple[int, int]]:
    """Where a file that would keep one core busy is cut, for several; one range where it can't be."""
    can_be_cut = file.format == "warc" and file.path.endswith(".gz") and can_seek(file.path)
    return cut(file.bytes, min_bytes, max_ranges) if can_be_cut else [(0, file.bytes)]


def _source(file: NumberedFile) -> stage.Source:
    version = Version(file.bytes, file.etag)
    format = None if file.format == "warc" else TEXT_FORMATS[file.format]
    return stage.Source(file.file_no, file.path, format, last_file_no=file.last_file_no, version=version)


def _num_tasks(num_files: int, cores: int, files_per_task: int) -> int:
    return min(num_files, max(2 * cores, -(-num_files // files_per_task)))


def _tasks(files: Sequence[NumberedFile], cores: int, files_per_task: int) -> list[list[stage.Source]]:
    """Files shared out evenly by size: as many tasks as keep all cores busy to the end, and files large."""
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
