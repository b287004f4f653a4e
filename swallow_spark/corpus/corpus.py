"""A corpus on disk: its lock, the numbering of its inputs, and what is finished.

Work is cut into units (a batch of WARC files, a crawl, a preset …). A unit's files count when its manifest is written:
last, atomically, with the list of files. Readers open only what manifests list, so files of a killed run are never
read; the next run that takes the lock deletes them.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

from swallow_spark import __version__
from swallow_spark.addresses import masked, shown
from swallow_spark.config.section import NAME_PATTERN
from swallow_spark.corpus import manifests
from swallow_spark.corpus.lock import lock
from swallow_spark.corpus.manifests import File, Manifest, Stored, Unit
from swallow_spark.corpus.read import Scan, are_few, dataset, read_files, scan_files
from swallow_spark.corpus.write import Outputs
from swallow_spark.errors import CorpusError, InputError, UsageError
from swallow_spark.files.storage import Root
from swallow_spark.tables import BYTES_PER_FILE_NO, INPUTS, MAX_CRAWL_NO, MAX_FILE_NO, InputFile

if TYPE_CHECKING:
    import pyarrow.dataset as ds

__all__ = ["Corpus", "Manifest", "NumberedFile", "Stored", "Unit", "check_crawl", "lineage", "unlisted_directories"]

_FORMAT: Final = 1
_MARKER: Final = "corpus.json"
_REGISTERED, _WITHDRAWN = ".parquet", ".withdrawn"  # endings of the files of `inputs`
# Directories that units write, all named …-TOKEN: the only ones that a sweep may delete. `crawl=NAME` never matches.
_UNIT_DIRECTORY: Final = re.compile(r"(.*/)?[^/=]*-[0-9a-f]{12}")


class NumberedFile(NamedTuple):
    """An input of a crawl with its number. A file beyond 4 GiB also takes the numbers that follow its own."""

    file_no: int
    path: str
    bytes: int
    format: str
    key: str = ""
    etag: str | None = None

    @property
    def last_file_no(self) -> int:
        return self.file_no + max(0, self.bytes - 1) // BYTES_PER_FILE_NO


class Corpus:
    """A corpus under one root directory or URI."""

    def __init__(self, root: Root) -> None:
        self.root = root
        self._units: dict[Unit, Manifest | None] | None = None
        """All of them while the lock is held, since nobody else changes them then. None: read from disk when needed."""

    @classmethod
    def open(cls, location: str) -> Self:
        """A corpus that exists. Raises CorpusError if there is none."""
        corpus = cls(Root(location))
        try:
            marker = json.loads(corpus.root.read_bytes(_MARKER))
        except (OSError, ValueError):
            raise CorpusError(f"{location}: no corpus there (`ingest` or `build` creates one)") from None
        if not isinstance(marker, dict):
            raise CorpusError(f"{location}: {_MARKER} is damaged: it is no JSON object")
        if marker.get("format") != _FORMAT:
            raise CorpusError(f"{location}: a corpus of format {marker.get('format')}, this version reads {_FORMAT}")
        return corpus

    @staticmethod
    def is_at(location: str) -> bool:
        """Whether a corpus is there."""
        try:
            return Root(location).exists(_MARKER)
        except OSError as error:
            raise CorpusError(f"{location}: can't be read: {error.strerror or error}") from None

    @staticmethod
    def check_new(location: str) -> None:
        """Raises CorpusError if a corpus can't be made there: a local directory must be empty, or not there yet."""
        if not location:
            raise CorpusError("--corpus is empty: name a directory or URI")
        root = Root(location)
        try:
            if root.is_local and root.exists("") and any(root.local_path("").iterdir()):
                raise CorpusError(f"{location}: neither empty nor a corpus: name an empty or a new directory")
        except OSError as error:
            raise CorpusError(f"{location}: can't be written: {error.strerror or error}") from None

    @classmethod
    def open_or_create(cls, location: str) -> Self:
        """Opens a corpus, or creates one in an empty directory. Raises CorpusError if it can't."""
        corpus = cls(Root(location))
        try:
            if not corpus.root.exists(_MARKER):
                cls.check_new(location)
                corpus.root.make_directory("")
                marker = {"format": _FORMAT, "created": datetime.now(UTC).isoformat(), "version": __version__}
                corpus.root.write_atomically(_MARKER, json.dumps(marker).encode())
        except OSError as error:
            raise CorpusError(f"{location}: can't be written: {error.strerror or error}") from None
        return cls.open(location)

    # ---- the lock

    @contextmanager
    def lock(self, repair: Callable[["Corpus", Stored], None] | None = None) -> Iterator[None]:
        """Keeps other runs out, reads all manifests, repairs, and deletes what killed runs left. Raises InUseError if
        another run holds the corpus, CorpusError if it can't be written, and, without `repair`, if a manifest is
        damaged."""
        with lock(self.root):
            found = self.stored()
            self._units = found.units
            try:
                if repair:
                    repair(self, found)
                else:
                    for unit, manifest in found.units.items():
                        manifests.sound(unit, manifest)
                for directory in unlisted_directories(found):
                    self.root.delete(directory)
                del found
                yield
            finally:
                self._units = None

    def stored(self) -> Stored:
        """What is there now: one listing, and each manifest read once."""
        return manifests.stored(self.root)

    def as_found(self, found: Stored) -> Self:
        """The corpus at that moment: its manifests are not read again."""
        corpus = type(self)(self.root)
        corpus._units = found.units
        return corpus

    # ---- inputs and their numbers

    def register(self, crawl: str, found: Sequence[InputFile]) -> int:
        """Numbers the inputs that have no number yet, in the order of their keys; returns how many these are.

        Files of `cc:` listings get their line numbers. Only under the lock. A number is never used twice: rows of
        `inputs` stay even if their pages are deleted or the crawl is withdrawn. If a file of a withdrawn crawl is
        registered again unchanged, it gets its old number.
        """
        check_crawl(crawl)
        rows = self._inputs(crawl).to_pylist()
        gone = self._inputs(crawl, _WITHDRAWN).to_pylist()
        known = {row["key"]: row for row in rows if row["base_offset"] == 0}
        for file in found:
            row = known.get(file.key)
            if row and -1 not in (row["bytes"], file.bytes) and row["bytes"] != file.bytes:  # -1: size unknown
                raise InputError(
                    f"{shown(file.path)}: {file.bytes} bytes, but it was registered with {row['bytes']}: "
                    "give a changed file a new name"
                )
        new = sorted({file.key: file for file in found if file.key not in known}.values())
        if not new:
            return 0
        parts = [*self._input_parts(), *self._input_parts(_WITHDRAWN)]
        numbers = {name: number for number, name, _ in parts}
        crawl_no = numbers.get(crawl) or max(numbers.values(), default=0) + 1
        earlier = {(row["key"], row["bytes"]): row["file_no"] for row in gone if row["base_offset"] == 0}
        next_no = max((row["file_no"] for row in (*rows, *gone)), default=-1) + 1
        added = []
        for file in new:
            file_no = earlier.get((file.key, file.bytes), next_no) if file.line is None else file.line
            for base_offset in range(0, max(1, file.bytes), BYTES_PER_FILE_NO):
                row = {"crawl": crawl, "crawl_no": crawl_no, "file_no": file_no, "base_offset": base_offset}
                added.append({**file._asdict(), "path": masked(file.path), **row})
                file_no += 1
            next_no = max(next_no, file_no)
        if crawl_no > MAX_CRAWL_NO or next_no - 1 > MAX_FILE_NO:
            raise CorpusError(f"no numbers left: {MAX_CRAWL_NO} crawls of {MAX_FILE_NO + 1} files at most")
        taken = [row["file_no"] for row in (*rows, *added)]
        before = {row["file_no"]: row["key"] for row in gone}
        if len(set(taken)) < len(taken) or any(before.get(r["file_no"], r["key"]) != r["key"] for r in added):
            raise UsageError(f"--crawl {crawl}: files of a cc: listing and other files need crawls of their own")
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist([{n: r[n] for n in INPUTS.names} for r in added], INPUTS), sink)
        part = sum(name == crawl for _, name, _ in parts)
        self.root.write_atomically(f"inputs/{crawl_no:04}-{crawl}-{part:06}{_REGISTERED}", sink.getvalue().to_pybytes())
        return len(new)

    def withdraw(self, crawl: str) -> None:
        """Removes a crawl, whose units must be gone already: its inputs are no longer registered, but their numbers
        stay reserved. Only under the lock."""
        for _, name, path in self._input_parts():
            if name == crawl:
                self.root.move(path, path.removesuffix(_REGISTERED) + _WITHDRAWN)

    def _input_parts(self, suffix: str = _REGISTERED) -> list[tuple[int, str, str]]:
        """crawl_no, crawl and path of each file of the table `inputs`, from the files' names alone."""
        parts = []
        for path in self.root.files("inputs", suffix):
            match = re.fullmatch(rf"inputs/(\d{{4}})-(.*)-\d{{6}}{re.escape(suffix)}", path)
            if not match:
                raise CorpusError(f"{self.root.location}/{path}: not a file of the table `inputs`")
            parts.append((int(match[1]), match[2], path))
        return parts

    def _inputs(self, crawl: str, suffix: str = _REGISTERED) -> pa.Table:
        paths = [path for _, name, path in self._input_parts(suffix) if name == crawl]
        tables = []
        for path in paths:
            try:
                tables.append(pq.read_table(pa.BufferReader(self.root.read_bytes(path)), schema=INPUTS))
            except pa.ArrowException as error:
                raise CorpusError(f"{path}: damaged: {error}") from None
        return pa.concat_tables(tables) if tables else INPUTS.empty_table()

    def crawls(self) -> dict[int, str]:
        """crawl_no -> name, ascending."""
        return dict(sorted((number, name) for number, name, _ in self._input_parts()))

    def inputs(self, crawl: str) -> list[NumberedFile]:
        """The registered inputs of a crawl, by number."""
        rows = self._inputs(crawl).sort_by("file_no").to_pylist()
        return [NumberedFile(*(row[name] for name in NumberedFile._fields)) for row in rows if row["base_offset"] == 0]

    def pending(self, crawl: str) -> list[NumberedFile]:
        """The inputs of a crawl that no finished batch covers."""
        ranges = [r for manifest in self.manifests("ingest", f"crawl={crawl}/") for r in manifest.covers]
        done = {file_no for first, last in ranges for file_no in range(first, last + 1)}
        return [file for file in self.inputs(crawl) if file.file_no not in done]

    # ---- units

    def manifest(self, unit: Unit) -> Manifest | None:
        """The manifest of a unit, or None if it isn't finished. Raises CorpusError if it can't be read."""
        if self._units is None:
            return next(iter(manifests.read(self.root, [unit])), None)
        return manifests.sound(unit, self._units[unit]) if unit in self._units else None

    def units(self, stage: str) -> list[Unit]:
        """The units of a stage by name, including those with damaged manifests."""
        if self._units is None:
            return manifests.find(self.root, stage)
        return sorted((unit for unit in list(self._units) if unit.stage == stage), key=lambda unit: unit.manifest)

    def manifests(self, stage: str, prefix: str = "") -> list[Manifest]:
        """The manifests of a stage's finished units whose names start with `prefix`, by name. Raises CorpusError."""
        units = [unit for unit in self.units(stage) if unit.name.startswith(prefix)]
        if self._units is None:
            return manifests.read(self.root, units)
        return [manifest for unit in units if (manifest := self.manifest(unit))]

    def is_finished(self, unit: Unit, fingerprint: str, upstream: str) -> bool:
        """Whether the unit was computed with this configuration from these upstream units."""
        manifest = self.manifest(unit)
        return manifest is not None and (manifest.fingerprint, manifest.upstream) == (fingerprint, upstream)

    def outputs(self, unit: Unit, tables: Mapping[str, pa.Schema], crawls: Mapping[int, str]) -> Outputs:
        """New directories for a unit to write into: `TABLE/crawl=NAME/UNIT-TOKEN` for each table and crawl."""
        leaf = unit.name.rpartition("/")[2].replace("=", "-")
        token = uuid4().hex[:12]
        directories = {
            table: {number: f"{table}/crawl={crawl}/{leaf}-{token}" for number, crawl in crawls.items()}
            for table in tables
        }
        return Outputs(self.root, dict(tables), directories)

    def commit(
        self,
        unit: Unit,
        fingerprint: str,
        meaning: Mapping[str, Any],
        upstream: str,
        written: Iterable[Any],
        *,
        counts: Mapping[str, int] | None = None,
        covers: Sequence[tuple[int, int]] = (),
        details: Mapping[str, Any] | None = None,
    ) -> Manifest:
        """Commits a unit: writes its manifest, then deletes the files that it replaces.

        `written` are rows with the schema write.WRITTEN; their sums are added to `counts`.
        """
        files, totals, cpu_seconds = [], dict(counts or {}), 0.0
        for row in written:
            cpu_seconds += row["cpu_seconds"] or 0
            files.append(File(row["table"], row["path"], row["rows"], row["bytes"], row["crc32"]))
            for name, value in dict(row["sums"]).items():
                totals[name] = totals.get(name, 0) + value
        replaced = self.manifest(unit)
        before = (other.finished for other in self.manifests(unit.stage))
        manifest = Manifest(
            stage=unit.stage,
            unit=unit.name,
            id=uuid4().hex,
            fingerprint=fingerprint,
            meaning=dict(meaning),
            upstream=upstream,
            files=tuple(sorted(files, key=lambda file: file.path)),
            counts=totals,
            covers=tuple(covers),
            details=dict(details or {}),
            cpu_seconds=round(cpu_seconds, 3),
            version=__version__,
            # Ascending in the order of commits, even if the clock was set back.
            finished=max([datetime.now(UTC), *(finished + timedelta(microseconds=1) for finished in before)]),
        )
        listed = {file.path for file in files}
        for directory in manifest.directories:
            for path in self.root.files(directory):
                if path not in listed:  # written by a failed attempt
                    self.root.delete(path)
        self.root.write_atomically(unit.manifest, manifest.model_dump_json(indent=1).encode())
        if self._units is not None:
            self._units[unit] = manifest
        for directory in replaced.directories if replaced else ():
            self.root.delete(directory)
        return manifest

    def forget(self, unit: Unit) -> None:
        """Takes back a unit: deletes its manifest and its files. If the manifest can't be read, the next run that takes
        the lock deletes the files."""
        try:
            manifest = self.manifest(unit)
        except CorpusError:
            manifest = None
        self.root.delete(unit.manifest)
        if self._units is not None:
            self._units.pop(unit, None)
        for directory in manifest.directories if manifest else ():
            self.root.delete(directory)

    # ---- reading

    def read(self, spark: SparkSession, table: str, schema: pa.Schema, manifests: Iterable[Manifest]) -> DataFrame:
        """A table's rows of these units; an empty frame if there are none."""
        files = [file for manifest in manifests for file in manifest.files if file.table == table]
        found = self.read_files(spark, schema, [file.path for file in files])
        return found.coalesce(1) if are_few(sum(file.rows for file in files)) else found

    def dataset(self, table: str, schema: pa.Schema, manifests: Iterable[Manifest]) -> "ds.Dataset":
        """The same rows without Spark, as a pyarrow.dataset; files are opened when it is scanned."""
        sizes = {file.path: file.bytes for manifest in manifests for file in manifest.files if file.table == table}
        return dataset(self.root, sizes, schema)

    def scan(self, spark: SparkSession, table: str, schema: pa.Schema, manifests: Iterable[Manifest]) -> Scan:
        """The same rows, for a stage that reads and maps batches in its own tasks."""
        sizes = {file.path: file.bytes for manifest in manifests for file in manifest.files if file.table == table}
        return scan_files(spark, self.root, sizes, schema)

    def read_files(self, spark: SparkSession, schema: pa.Schema, paths: Sequence[str]) -> DataFrame:
        """The rows of Parquet files below the root; an empty frame if there are none."""
        return read_files(spark, self.root, paths, schema)


def unlisted_directories(found: Stored) -> list[str]:
    """Directories of units that no manifest lists: leftovers of killed runs, or output of a running one. None if a
    manifest can't be read, since it may list them."""
    known = [manifest for manifest in found.units.values() if manifest]
    if len(known) < len(found.units):
        return []
    listed: set[str] = set()
    for path in {path for manifest in known for path in manifest.directories}:
        steps = path.split("/")
        listed.update("/".join(steps[: number + 1]) for number in range(len(steps)))
    return [path for path in found.directories if _UNIT_DIRECTORY.fullmatch(path) and path not in listed]


def check_crawl(name: str) -> None:
    """Raises UsageError if a crawl can't have that name."""
    if not re.fullmatch(NAME_PATTERN, name) or name.endswith((".", "\n")):
        raise UsageError(
            f"--crawl {name!r}: a name has 1 to 100 letters, digits, '.', '_' and '-', starts with a letter or digit, "
            "and doesn't end in '.'"
        )


def lineage(manifests: Iterable[Manifest], *contents: str) -> str:
    """Identifies what something was computed from: units, and contents that don't change with their unit."""
    ids = sorted(f"{manifest.stage}/{manifest.unit}/{manifest.id}" for manifest in manifests)
    ids += contents
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()[:32]
