"""A corpus as DuckDB reads it: the Parquet files that manifests list, and no others."""

import json
import re
import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from time import monotonic
from typing import Any, Final, NamedTuple

import duckdb

from swallow_spark.corpus import manifests
from swallow_spark.corpus.corpus import Corpus, NumberedFile
from swallow_spark.errors import CorpusError
from swallow_spark.tables import BYTES_PER_FILE_NO, CRAWL_SHIFT, unpack_doc_id

_MAX_DOC_ID: Final = (1 << 63) - 1
_AT_ONCE: Final = 3  # queries; others wait
_ROWS_PER_WINDOW: Final = 20_000
_INTERNAL: Final = ("boundaries",)


class TooSlowError(Exception):
    """A query that was interrupted, since it took longer than it may."""


class ChangedCorpusError(Exception):
    """A file that a manifest listed is gone, since a run has replaced it, or it can't be read."""


class _Group(NamedTuple):
    """A row group: its file, its lowest and highest doc_id, and its rows."""

    file: str
    low: int
    high: int
    rows: int


class Source:
    """The tables of a corpus, as its manifests were when this was made. Reads only; takes no lock."""

    def __init__(self, location: str) -> None:
        """Raises CorpusError if there is no corpus, if it isn't on this machine's file system, or if files are gone."""
        self.corpus = Corpus.open(location)
        root = self.corpus.root
        if not root.is_local:
            raise CorpusError(f"{location}: browse reads local directories; mount the store, or copy the corpus")
        self.location = location
        self._files: dict[str, list[str]] = {}
        self.rows: dict[str, int] = {}
        self.bounds: dict[str, dict[str, dict[str, float | None]]] = {}
        """preset -> feature -> `min`, `max` and `below`: first the preset of the last run's configuration, which a
        trial by `decide --preset` is not, then that which was decided last."""
        self.reasons: dict[str, dict[str, int]] = {}
        """preset -> reason -> pages."""
        self.cuts: dict[str, dict[str, float]] = {}
        """classifier -> band -> the lowest score in it."""
        found = manifests.read(root, manifests.find(root))
        for manifest in found:
            for file in manifest.files:
                if file.table not in _INTERNAL:
                    self._files.setdefault(file.table, []).append(str(root.local_path(file.path)))
                    self.rows[file.table] = self.rows.get(file.table, 0) + file.rows
        for manifest in sorted(found, key=lambda each: each.finished, reverse=True):
            if manifest.stage == "decide":
                self._add_preset(manifest)
            elif manifest.stage == "select":
                self._add_cuts(manifest.details.get("cuts") or ())
        if (standing := self._standing()) in self.bounds:
            self.bounds = {standing: self.bounds[standing], **self.bounds}
        self.crawls = self.corpus.crawls()
        self._inputs: dict[str, list[NumberedFile]] = {}
        self._free = threading.BoundedSemaphore(_AT_ONCE)
        self._row_groups: dict[str, list[_Group]] = {}
        try:
            self._database = self._open()
        except duckdb.Error as error:
            what = str(error).partition("\n")[0]
            raise CorpusError(f"{location}: {what}; `swallow-spark check` finds missing or damaged files") from None

    def _standing(self) -> str:
        """The preset of the last run's configuration; empty if there was no run."""
        runs = self.corpus.root.files("runs", ".json")
        last = json.loads(self.corpus.root.read_bytes(runs[-1])) if runs else {}
        return str(last.get("config", {}).get("rules", {}).get("preset", ""))

    def _add_preset(self, manifest: manifests.Manifest) -> None:
        preset = manifest.unit.partition("/")[0].removeprefix("preset=")
        self.bounds.setdefault(preset, {feature: dict(bound) for feature, bound in manifest.meaning.get("bounds", ())})
        counts = self.reasons.setdefault(preset, {})
        for name, number in manifest.counts.items():
            kind, _, reason = name.partition(":")
            if kind == "rejected" and reason:
                counts[reason] = counts.get(reason, 0) + number

    def _add_cuts(self, cuts: Iterable[dict[str, Any]]) -> None:
        for cut in cuts:
            if (lower := cut.get("lower")) and (classifier := cut.get("classifier")):
                self.cuts.setdefault(classifier, {}).setdefault(cut["band"], lower["score"])

    def _open(self) -> duckdb.DuckDBPyConnection:
        database = duckdb.connect(
            config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
        )
        for setting in ("memory_limit = '2GB'", "parquet_metadata_cache = true", "TimeZone = 'UTC'"):
            database.execute(f"SET {setting}")
        # From here on it opens files of the corpus and nothing else, whatever is asked.
        root = f"{self.corpus.root.local_path('')}/"
        database.execute(f"SET allowed_directories = [{_quoted(root)}, {_quoted(_literal(root))}]")
        database.execute("SET enable_external_access = false")
        database.execute("SET lock_configuration = true")
        for table, paths in self._files.items():
            database.execute(f"CREATE VIEW {name(table)} AS SELECT * FROM {_read(set(paths), table)}")
        return database

    def has(self, table: str) -> bool:
        """Whether a finished unit has files of the table."""
        return table in self._files

    def named(self, kind: str) -> list[str]:
        """The names behind `kind`: `subsets` -> its subsets; `scores/classifier=` -> classifiers."""
        start = kind if kind.endswith("=") else f"{kind}/"
        return sorted(table.removeprefix(start) for table in self._files if table.startswith(start))

    @cached_property
    def presets(self) -> list[str]:
        """Presets with verdicts, in the order of `bounds`."""
        return [preset for preset in self.bounds if self.has(f"verdicts/preset={preset}")]

    @cached_property
    def windows(self) -> list[int]:
        """Ascending doc_ids that cut the pages into runs of about `_ROWS_PER_WINDOW`; the first is 0. From the files'
        footers alone."""
        windows, rows = [0], 0
        for group in sorted(self._groups("pages"), key=lambda each: each.low):
            if rows >= _ROWS_PER_WINDOW and group.low > windows[-1]:
                windows.append(group.low)
                rows = 0
            rows += group.rows
        return windows

    def _groups(self, table: str) -> list[_Group]:
        """The row groups of a table, from the footers of its files, which are read once."""
        if table not in self._row_groups:
            paths = self._files.get(table, ())
            known = dict(zip(map(_literal, paths), paths, strict=True))
            rows = (
                self.query(
                    "SELECT file_name, stats_min_value::BIGINT, stats_max_value::BIGINT, row_group_num_rows "
                    f"FROM parquet_metadata([{_list(paths)}]) WHERE path_in_schema = 'doc_id'"
                )
                if paths
                else []
            )
            self._row_groups[table] = [
                _Group(known.get(file, file), 0 if low is None else low, _MAX_DOC_ID if high is None else high, number)
                for file, low, high, number in rows
            ]
        return self._row_groups[table]

    def between(self, table: str, low: int, high: int) -> str:
        """What to read, in SQL, for the rows of a table with doc_ids from `low` to `high`: a corpus has thousands of
        files, and to look for a page in each of them takes longer than to read it."""
        return _read({group.file for group in self._groups(table) if group.low <= high and group.high >= low}, table)

    def among(self, table: str, doc_ids: Sequence[int]) -> str:
        """The same for the rows of these pages."""
        wanted = sorted(doc_ids)

        def may_have(group: _Group) -> bool:
            at = bisect_left(wanted, group.low)
            return at < len(wanted) and wanted[at] <= group.high

        return _read({group.file for group in self._groups(table) if may_have(group)}, table)

    def query(self, sql: str, values: Sequence[Any] = (), seconds: float = 15) -> list[tuple[Any, ...]]:
        """The rows of a query, which is interrupted after so many seconds.

        Raises TooSlowError then, or if memory doesn't suffice, and ChangedCorpusError if a file is gone or damaged.
        """
        with self._cursor(seconds) as cursor:
            return cursor.execute(sql, list(values)).fetchall()

    def rows_of(self, sql: str, values: Sequence[Any] = (), seconds: float = 15) -> list[dict[str, Any]]:
        """The same rows by the names of their columns."""
        with self._cursor(seconds) as cursor:
            found = cursor.execute(sql, list(values))
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    @contextmanager
    def _cursor(self, seconds: float) -> Iterator[duckdb.DuckDBPyConnection]:
        begun = monotonic()
        if not self._free.acquire(timeout=seconds):
            raise TooSlowError
        try:
            cursor = self._database.cursor()
            timer = threading.Timer(max(0.05, seconds - (monotonic() - begun)), cursor.interrupt)
            timer.start()
            try:
                yield cursor
            except (duckdb.InterruptException, duckdb.OutOfMemoryException):
                raise TooSlowError from None
            except duckdb.PermissionException:  # no fault of a file
                raise
            except duckdb.Error as error:
                raise ChangedCorpusError(str(error)) from None
            finally:
                timer.cancel()
                timer.join()
                cursor.close()
        finally:
            self._free.release()

    def place(self, doc_id: int) -> tuple[str, NumberedFile, int] | None:
        """Crawl, input file and offset (or row) of a page; None if its crawl is not registered."""
        where = unpack_doc_id(doc_id)
        crawl = self.crawls.get(where.crawl_no)
        if crawl is None:
            return None
        if crawl not in self._inputs:
            self._inputs[crawl] = self.corpus.inputs(crawl)
        files = [file for file in self._inputs[crawl] if file.file_no <= where.file_no]
        if not files:
            return None
        file = max(files)
        return crawl, file, where.offset + (where.file_no - file.file_no) * BYTES_PER_FILE_NO


def range_of_crawl(crawl_no: int) -> tuple[int, int]:
    """The lowest and highest doc_id that a crawl can have."""
    return crawl_no << CRAWL_SHIFT, ((crawl_no + 1) << CRAWL_SHIFT) - 1


def name(table: str) -> str:
    """A table's name, quoted for SQL."""
    return '"' + table.replace('"', '""') + '"'


def _read(paths: set[str], table: str) -> str:
    if not paths:
        return f"(SELECT * FROM {name(table)} LIMIT 0)"
    # By name: files of older releases lack columns.
    return f"read_parquet([{_list(sorted(paths))}], union_by_name = true, hive_partitioning = false)"


def _list(paths: Iterable[str]) -> str:
    return ", ".join(_quoted(_literal(path)) for path in paths)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _literal(path: str) -> str:
    """A path that DuckDB takes as it is: it expands globs."""
    return re.sub(r"([*?\[])", r"[\1]", path)
