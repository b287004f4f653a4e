"""Common Crawl's columnar index as rows: what was captured, in which language, and where its record is.

    from swallow_spark.session import open_session
    from swallow_spark.stages.ingest.index import CommonCrawlIndex

    spark = open_session("index")
    spark.dataSource.register(CommonCrawlIndex)
    index = spark.read.format("commoncrawl-index").load("cc:CC-MAIN-2023-23")
    index.where("content_languages LIKE '%jpn%'").groupBy("fetch_status").count().show()

Tasks read the Parquet files by PyArrow: local, on an object store, or by HTTP, where they fetch only the parts that
they need. Columns are `SCHEMA`; those that a schema leaves out cost nothing. If
`spark.sql.python.filterPushdown.enabled` is true, filters on status, MIME type and language are applied to a row group
before its other columns are read.

Options: `path`, one a line: a file, a directory, a glob, a URL, a listing, or `cc:CC-MAIN-YYYY-WW`; `base_url` of
Common Crawl's files; `access`, the limits of requests, as JSON (`config.access.Access`).
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import reduce
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.datasource import (
    DataSource,
    DataSourceReader,
    EqualTo,
    Filter,
    In,
    InputPartition,
    IsNotNull,
    StringContains,
)
from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema
from pyspark.sql.types import StructType

from swallow_spark.addresses import key_of, shown
from swallow_spark.config.access import Access
from swallow_spark.config.ingest import CC_BASE
from swallow_spark.errors import InputError
from swallow_spark.files.http import HttpClient
from swallow_spark.files.inputs import Places, locations_of
from swallow_spark.files.ranges import open_parts
from swallow_spark.files.storage import filesystem, is_http
from swallow_spark.files.unchanged import unchanged
from swallow_spark.kernels.html.imported import plain

SCHEMA: Final = pa.schema(
    [
        pa.field("url", pa.string()),
        pa.field("content_languages", pa.string()),  # ISO 639-3 codes of what CLD2 found, joined by commas
        pa.field("content_mime_detected", pa.string()),
        pa.field("fetch_status", pa.int16()),
        pa.field("warc_filename", pa.string()),
        pa.field("warc_record_offset", pa.int64()),
        pa.field("warc_record_length", pa.int64()),
    ]
)
_PUSHDOWN: Final = "spark.sql.python.filterPushdown.enabled"
_LANGUAGE: Final = "jpn"
_MIME_TYPES: Final = ("text/html", "application/xhtml+xml")
_HOST: Final = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#]*@)?([^/?#:]*)"


@dataclass(frozen=True)
class Selection:
    """Which records of a crawl are wanted: Japanese pages by the index at `index`, only of these hosts and URLs if any
    are given. `*` in a pattern matches any characters."""

    index: str
    hosts: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()

    def meaning(self) -> dict[str, Any]:
        """Identifies the selection, whichever mirror its index is read from."""
        return {"index": key_of(self.index), "hosts": sorted(self.hosts), "urls": sorted(self.urls)}


def read_index(spark: SparkSession, location: str, places: Places | None = None) -> DataFrame:
    """The rows of an index (`SCHEMA`). Raises InputError if there is none. Changes a setting of the session, which the
    query needs until it has run: see `put_back`."""
    places = places or Places()
    files = "\n".join(index_files(location, places))
    access = json.dumps(asdict(places.access))
    spark.dataSource.register(CommonCrawlIndex)
    spark.conf.set(_PUSHDOWN, "true")
    return spark.read.format("commoncrawl-index").option("access", access).load(files)


@contextmanager
def put_back(spark: SparkSession) -> Iterator[None]:
    """At the end of this block the session is as it was before `read_index`: it may be the caller's."""
    before = spark.conf.get(_PUSHDOWN) or "false"
    try:
        yield
    finally:
        spark.conf.set(_PUSHDOWN, before)


def japanese(index: DataFrame, selection: Selection) -> DataFrame:
    """The rows of Japanese pages: warc_filename, warc_record_offset, warc_record_length."""
    wanted = (
        (F.col("fetch_status") == 200)
        & F.col("content_mime_detected").isin(*_MIME_TYPES)
        & F.col("content_languages").contains(_LANGUAGE)
    )
    if selection.hosts:
        host = F.lower(F.regexp_extract("url", _HOST, 1))
        wanted &= host.rlike(_any_of([pattern.lower() for pattern in selection.hosts]))
    if selection.urls:
        wanted &= F.col("url").rlike(_any_of(selection.urls))
    sane = (F.col("warc_record_offset") >= 0) & (F.col("warc_record_length") > 0)
    return index.where(wanted & sane).select("warc_filename", "warc_record_offset", "warc_record_length")


def _any_of(patterns: Iterable[str]) -> str:
    alternatives = ["[\\s\\S]*".join(re.escape(part) for part in pattern.split("*")) for pattern in patterns]
    return rf"\A(?:{'|'.join(alternatives)})\z"


class CommonCrawlIndex(DataSource):
    """The data source, as Spark registers it."""

    @classmethod
    def name(cls) -> str:
        return "commoncrawl-index"

    def schema(self) -> StructType:
        return from_arrow_schema(SCHEMA)

    def reader(self, schema: StructType) -> "IndexReader":
        places = Places(self.options.get("base_url", CC_BASE), Access(**json.loads(self.options.get("access", "{}"))))
        return IndexReader(schema, self.options.get("path", ""), places)


_TESTS: Final[dict[type[Filter], Callable[[pa.ChunkedArray, Any], pa.ChunkedArray]]] = {
    EqualTo: lambda column, value: pc.equal(column, pa.scalar(value, column.type)),
    In: lambda column, values: pc.is_in(column, pa.array([v for v in values if v is not None], column.type)),
    StringContains: lambda column, value: pc.match_substring(column.cast(pa.string()), value),
    IsNotNull: lambda column, _: column.is_valid(),
}
"""The filters that are applied here: where a column passes, given the filter's value."""


class IndexReader(DataSourceReader):
    """Reads the columns of a schema, of the rows that pass the filters; a partition for each file."""

    def __init__(self, schema: StructType, location: str, places: Places) -> None:
        self._schema = to_arrow_schema(schema, timezone="UTC")
        self._location = location
        self._places = places
        self._filters: list[tuple[str, type[Filter], Any]] = []

    def pushFilters(self, filters: list[Filter]) -> Iterable[Filter]:  # noqa: N802 - Spark's name
        """Takes those that it can apply exactly; yields the others."""
        for filter_ in filters:
            match filter_:
                case EqualTo((column,)) | In((column,)) | StringContains((column,)) | IsNotNull((column,)):
                    self._filters.append((column, type(filter_), getattr(filter_, "value", None)))
                case _:
                    yield filter_

    def partitions(self) -> Sequence[InputPartition]:
        locations = self._location.splitlines() or [""]
        return [InputPartition(path) for one in locations for path in index_files(one, self._places)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        path: str = partition.value
        tried = list(dict.fromkeys(column for column, _, _ in self._filters))
        web = HttpClient(self._places.access)
        with unchanged(path), open_parts(path, web) as stream:
            file = pq.ParquetFile(stream, pre_buffer=True)
            missing = sorted({*self._schema.names, *tried} - set(file.schema_arrow.names))
            if missing:
                raise InputError(f"{shown(path)}: not an index of Common Crawl: no column {', '.join(missing)}")
            for group in range(file.num_row_groups):
                mask = self._mask(_as_declared(file.read_row_group(group, columns=tried))) if tried else None
                if mask is not None and not pc.any(mask).as_py():
                    continue
                rows = _as_declared(file.read_row_group(group, columns=self._schema.names))
                rows = rows if mask is None else rows.filter(mask)
                yield from rows.select(self._schema.names).cast(self._schema).to_batches(max_chunksize=10_000)

    def _mask(self, columns: pa.Table) -> pa.ChunkedArray:
        """Where all filters hold; null nowhere."""
        return reduce(
            pc.and_, (_TESTS[kind](columns[name], value).fill_null(False) for name, kind, value in self._filters)
        )


def _as_declared(rows: pa.Table) -> pa.Table:
    """An index's columns in the types of SCHEMA: some programs write dictionaries, or other kinds of strings."""
    return pa.table({name: plain(rows[name]).cast(SCHEMA.field(name).type) for name in rows.column_names})


def index_files(location: str, places: Places) -> list[str]:
    """The Parquet files of an index. Raises InputError if there is none."""
    if not location:
        raise InputError("commoncrawl-index: no path: a file, a directory, a URL, a listing or cc:CC-MAIN-YYYY-WW")
    found = locations_of(location, places, "cc-index-table.paths.gz")
    if found == [location] and not is_http(location) and not location.endswith(".parquet"):
        found = _files_below(location)
    # Robots.txt and unsuccessful captures are in other subsets.
    found = [path for path in found if "/subset=" not in path or "/subset=warc/" in path]
    if not found:
        raise InputError(f"{shown(location)}: no Parquet file of an index")
    return found


def _files_below(location: str) -> list[str]:
    filesystem_, path = filesystem(location)
    try:
        kind = filesystem_.get_file_info(path).type
        if kind == fs.FileType.NotFound:
            raise InputError(f"{shown(location)}: no such file or directory")
        if kind != fs.FileType.Directory:
            return [location]
        found = filesystem_.get_file_info(fs.FileSelector(path, recursive=True))
    except OSError as error:
        raise InputError(f"{shown(location)}: {error}") from None
    base = location.rstrip("/")
    return sorted(f"{base}{info.path[len(path.rstrip('/')) :]}" for info in found if info.path.endswith(".parquet"))
