"""Registered inputs to pages, failures and the ledger, batch by batch."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from pyspark.sql import Row

from swallow_spark.corpus import NumberedFile, Unit
from swallow_spark.errors import LedgerError, SwallowSparkError
from swallow_spark.kernels import page
from swallow_spark.kernels.ranges import cut
from swallow_spark.stages import ingest as stage
from swallow_spark.steps.run import Run, in_flight
from swallow_spark.storage import can_seek


def ingest(run: Run, crawl: str) -> None:
    """The registered inputs of a crawl that no batch covers, to pages, failures and ledger."""
    corpus, execution = run.corpus, run.config.execution
    pending = corpus.pending(crawl)
    if not pending:
        return
    crawl_no = next(number for number, name in corpus.crawls().items() if name == crawl)
    batches = _batches(pending, execution.files_per_batch)
    with run.progress.stage("ingest", total=len(pending)) as tick:
        in_flight(run, partial(_ingest_batch, run, crawl, crawl_no, tick), batches)


def _ingest_batch(run: Run, crawl: str, crawl_no: int, tick: stage.Ticker, files: Sequence[NumberedFile]) -> None:
    section = run.config.ingest
    due = run.lineage.ingest(f"crawl={crawl}/{files[0].file_no:07}-{files[-1].last_file_no:07}")
    outputs = run.corpus.outputs(due.unit, stage.TABLES, {crawl_no: crawl})
    execution, cores = run.config.execution, run.spark.sparkContext.defaultParallelism
    limits = page.Limits(**section.model_dump())

    def read(tasks: list[list[stage.Source]]) -> list[Any]:
        return stage.ingest(run.spark, tasks, crawl_no, limits, outputs, tick).collect() if tasks else []

    in_pieces: list[NumberedFile] = []
    written: list[Any] = []
    for file in files if len(files) < cores else ():
        ranges = _ranges(file, execution.min_bytes_per_range, 2 * cores)
        if len(ranges) > 1 and (
            found := stage.whole(read([[_source(file)._replace(range=r)] for r in ranges]), outputs)
        ):
            in_pieces.append(file)
            written += found
    rest = [file for file in files if file not in in_pieces]
    written += read(_tasks(rest, cores, execution.files_per_task))
    written, not_read = _without_not_read([row.asDict() if isinstance(row, Row) else row for row in written])
    if len(not_read) == len(files) > 1:
        first = files[0].path
        raise SwallowSparkError(f"none of {len(files)} files can be read, {first} for one: can the workers reach them?")
    _check_ledger(due.unit, written)
    covers = [(file.file_no, file.last_file_no) for file in files if file.file_no not in not_read]
    run.corpus.commit(*due, written, covers=_merged(covers))


def _without_not_read(written: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], set[int]]:
    """The rows without the marks of files of which nothing could be read, and the numbers of those files: they stay
    pending, so the same command tries them again."""
    numbers: set[int] = set()
    for row in written:
        sums = dict(row["sums"])
        for name in [name for name in sums if name.startswith(stage.NOT_READ)]:
            numbers.add(int(name.removeprefix(stage.NOT_READ)))
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
    return stage.Source(file.file_no, file.path, file.format, last_file_no=file.last_file_no)


def _tasks(files: Sequence[NumberedFile], cores: int, files_per_task: int) -> list[list[stage.Source]]:
    """Files shared out evenly by size: as many tasks as keep all cores busy to the end, and files large."""
    number = min(len(files), max(2 * cores, -(-len(files) // files_per_task)))
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
