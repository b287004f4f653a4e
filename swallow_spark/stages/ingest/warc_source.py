"""The records of WARC files as rows: `spark.read.format("warc")`. Needs no corpus.

    from swallow_spark.session import open_session

    spark = open_session("records")
    records = spark.read.format("warc").load("demo/pages/*.warc.gz")
    records.where("type = 'response'").select("url", "date", "headers", "payload").show()

Spark finds the source by itself if this package is installed (module `pyspark_warc`); if it isn't, as with
`--py-files`, call `spark.dataSource.register(WarcDataSource)`.

Columns (`SCHEMA`): `path`; `offset` in the file, in bytes; `type`, `url`, `date` and all `headers` of the record, by
lower-case name; its `block` as stored; `payload`, the decoded body of an HTTP response, or null. Damage is a row with
only path, offset and `damage`: `SCOPE: REASON: DETAIL`. Columns that the schema leaves out cost nothing:

    spark.read.format("warc").schema("offset long, url string").load(path)

Options: `path`, inputs as `swallow-spark ingest` takes them, one a line; `max_record_bytes`.
"""

from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema
from pyspark.sql.types import StructType

from swallow_spark.errors import InputError, UsageError
from swallow_spark.files.inputs import expand
from swallow_spark.files.storage import open_warc
from swallow_spark.files.unchanged import unchanged
from swallow_spark.kernels.warc import http, warc
from swallow_spark.tables import TIMESTAMP

__all__ = ["SCHEMA", "WarcDataSource"]

SCHEMA: Final = pa.schema(
    [
        pa.field("path", pa.string()),
        pa.field("offset", pa.int64()),
        pa.field("type", pa.string()),
        pa.field("url", pa.string()),
        pa.field("date", TIMESTAMP),
        pa.field("headers", pa.map_(pa.string(), pa.string())),
        pa.field("block", pa.binary()),
        pa.field("payload", pa.binary()),
        pa.field("damage", pa.string()),
    ]
)
_BATCH_ROWS: Final = 1000
_BATCH_BYTES: Final = 16 << 20


class WarcDataSource(DataSource):
    """The data source, as Spark registers it."""

    @classmethod
    def name(cls) -> str:
        return "warc"

    def schema(self) -> StructType:
        return from_arrow_schema(SCHEMA)

    def reader(self, schema: StructType) -> "WarcReader":
        return WarcReader(schema, dict(self.options))


class WarcReader(DataSourceReader):
    """Reads the columns of a schema, a partition for each file. Raises UsageError for unknown columns."""

    def __init__(self, schema: StructType, options: dict[str, str]) -> None:
        self._schema = to_arrow_schema(schema, timezone="UTC")
        if unknown := sorted(set(self._schema.names) - set(SCHEMA.names)):
            raise UsageError(f"warc: no column {', '.join(unknown)} (there are: {', '.join(SCHEMA.names)})")
        self._locations = options.get("path", "").splitlines()
        self._max_record_bytes = int(options.get("max_record_bytes", warc.MAX_RECORD_BYTES))

    def partitions(self) -> list[InputPartition]:
        if not self._locations:
            raise InputError("warc: no path: spark.read.format('warc').load(PATH)")
        return [InputPartition(file.path) for file in expand(self._locations)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        path: str = partition.value
        with unchanged(path), open_warc(path) as stream:
            rows: list[dict[str, Any]] = []
            held = 0
            for item in warc.read(stream, max_record_bytes=self._max_record_bytes):
                rows.append({name: _value(name, path, item, self._max_record_bytes) for name in self._schema.names})
                held += len(item.block) if isinstance(item, warc.Record) else 0
                if len(rows) >= _BATCH_ROWS or held >= _BATCH_BYTES:
                    yield pa.RecordBatch.from_pylist(rows, self._schema)
                    rows, held = [], 0
            if rows:
                yield pa.RecordBatch.from_pylist(rows, self._schema)


def _value(name: str, path: str, item: warc.Record | warc.Damage, max_bytes: int) -> Any:
    """A column's value."""
    if isinstance(item, warc.Damage):
        damage = f"{item.scope}: {item.reason}: {item.detail}"
        return {"path": path, "offset": item.offset, "damage": damage}.get(name)
    if name == "path":
        return path
    if name == "type":
        return item.record_type
    if name == "headers":
        return list(item.headers.items())
    if name == "payload":
        return _payload(item, max_bytes)
    return None if name == "damage" else getattr(item, name)  # offset, url, date, block


def _payload(record: warc.Record, max_bytes: int) -> bytes | None:
    if record.record_type != "response":
        return None
    try:
        return http.body(http.parse(record.block), max_bytes, max_bytes).content
    except (http.BadHttpError, http.TooLargeError):
        return None
