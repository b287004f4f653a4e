"""The data source `warc`: the reader's records as rows, only the columns that are asked for, damage told."""

import pytest
from places import BROKEN, DEMO_WARCS
from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from swallow_spark.errors import InputError, UsageError
from swallow_spark.kernels.warc import http
from swallow_spark.kernels.warc.warc import Record, read
from swallow_spark.stages.ingest.warc_source import SCHEMA, WarcDataSource

DEMO = DEMO_WARCS[:2]


def test_rows_without_spark() -> None:
    source = WarcDataSource({"path": str(DEMO[0])})
    reader = source.reader(source.schema())
    (partition,) = reader.partitions()
    rows = [row for batch in reader.read(partition) for row in batch.to_pylist()]
    with DEMO[0].open("rb") as stream:
        records = [item for item in read(stream) if isinstance(item, Record)]
    assert [row["offset"] for row in rows] == [record.offset for record in records]
    for row, record in zip(rows, records, strict=True):
        assert (row["type"], row["url"], row["date"]) == (record.record_type, record.url, record.date)
        assert (dict(row["headers"]), row["block"], row["damage"]) == (record.headers, record.block, None)
        if record.record_type == "response":
            assert row["payload"] == http.body(http.parse(record.block), 1 << 26, 1 << 26).content
        else:
            assert row["payload"] is None


def test_found_and_read_by_spark_with_the_columns_asked_for(spark: SparkSession) -> None:
    read_warc = spark.read.format("warc")
    assert read_warc.load(str(DEMO[0])).schema == from_arrow_schema(SCHEMA)
    found = read_warc.schema("url string, offset long").load(str(DEMO[0].parent / "0000[01]*.warc.gz"))
    expected = set()
    for path in DEMO:
        with path.open("rb") as stream:
            expected |= {(item.url, item.offset) for item in read(stream) if isinstance(item, Record)}
    assert {tuple(row) for row in found.collect()} == expected


def test_damage_is_a_row() -> None:
    reader = WarcDataSource({"path": str(BROKEN / "bad-crc-in-one-member.warc.gz")}).reader(from_arrow_schema(SCHEMA))
    rows = [row for part in reader.partitions() for batch in reader.read(part) for row in batch.to_pylist()]
    damaged = [row for row in rows if row["damage"]]
    assert [(row["offset"], row["damage"].split(": ")[:2], row["block"]) for row in damaged] == [
        (2628, ["record", "bad_crc"], None)
    ]
    assert len(rows) == 7


def test_wrong_usage() -> None:
    with pytest.raises(UsageError, match="no column text"):
        WarcDataSource({"path": "x"}).reader(from_arrow_schema(SCHEMA).add("text", "string"))
    with pytest.raises(InputError, match="no path"):
        WarcDataSource({}).reader(from_arrow_schema(SCHEMA)).partitions()
    with pytest.raises(InputError):
        WarcDataSource({"path": "/no/such/file.warc.gz"}).reader(from_arrow_schema(SCHEMA)).partitions()
