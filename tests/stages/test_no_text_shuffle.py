"""No text crosses a shuffle: shown by the plans of all queries of a build, as the event log has them after they ran.

Text is recognised in two ways. By name: no exchange has a column `text` among its inputs. And by where it is read,
whatever it is called later: a query that scans `text`, which only `pages` and the subsets have, exchanges nothing. What
tasks read themselves (scan.Scan) the plans don't tell, but what those tasks give out: lists of written files, and
what dedup exchanges (exchange.PACKED: rows of numbers, made of sketches).
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from event_log import events_of, queries
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from runs import Built, table

from swallow_spark.corpus.write import WRITTEN
from swallow_spark.kernels.minhash import buckets, nearest
from swallow_spark.kernels.minhash.exchange import PACKED


def test_no_text_crosses_a_shuffle_in_a_build(built: Built) -> None:
    found, outside = queries(built.events)
    assert [query.exchanges for query in found if query.exchanges_text] == []
    assert outside == 0
    readers = [query for query in found if query.reads_text]
    assert readers == [], "text is read by the tasks that work on it"
    assert sum(query.shuffled_bytes for query in readers) == 0
    given = [columns for query in found for columns in query.of_reading_tasks()]
    assert len(given) >= 4, "ingest, annotate, score and select"
    packed = set(PACKED.names)
    of_the_report = ({"figures"}, {"known"})  # of bounded size: what it counts, and the few pages that it shows
    assert all(columns <= set(WRITTEN.names) or columns in (packed, *of_the_report) for columns in given), given
    assert any(columns == packed for columns in given)
    assert all(numbers.kind in "iu" for row in (buckets.ROW, nearest.ROW) for numbers, _ in row.fields.values())
    assert sum(query.shuffled_bytes for query in found) > 0, "dedup shuffles keys"
    assert any(query.exchanges for query in found)
    assert table(built.run, "subsets/edu-top10-30", "select")


BAD: dict[str, Callable[[DataFrame], DataFrame]] = {
    "repartitioned": lambda pages: pages.select("doc_id", "text").repartition(2, "doc_id"),
    "renamed": lambda pages: pages.select("doc_id", F.col("text").alias("body")).repartition(2, "doc_id"),
    "transformed": lambda pages: pages.select(F.upper("text").alias("x"), "doc_id").orderBy("doc_id"),
    "joined": lambda pages: pages.join(pages.select("doc_id").distinct(), "doc_id").select("doc_id", "text"),
    "broadcast": lambda pages: pages.select("doc_id").join(F.broadcast(pages.select("doc_id", "text")), "doc_id"),
    "aggregated": lambda pages: pages.groupBy("host").agg(F.max("text").alias("text")),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_text_that_is_shuffled_is_noticed(
    spark: SparkSession, event_log: Path, tmp_path: Path, bad: Callable[[DataFrame], DataFrame]
) -> None:
    path = str(tmp_path / "pages")
    spark.range(40).selectExpr("id doc_id", "concat('h', id % 3) host", "repeat(uuid(), 99) text").write.parquet(path)
    pages = spark.read.parquet(path)
    found, _ = queries(events_of(spark, event_log, bad(pages).write.format("noop").mode("append").save))
    assert any(query.exchanges_text for query in found)


def test_text_that_stays_is_not(spark: SparkSession, event_log: Path, tmp_path: Path) -> None:
    path = str(tmp_path / "pages")
    spark.range(40).selectExpr("id doc_id", "concat('h', id % 3) host", "'context' text").write.parquet(path)
    pages = spark.read.parquet(path)
    both = pages.select("doc_id", "text"), pages.groupBy("host").count()
    found, _ = queries(events_of(spark, event_log, lambda: [frame.collect() for frame in both]))
    assert [query.exchanges_text for query in found] == [False, False]
    assert [query.reads_text for query in found] == [True, False]
    assert [bool(query.exchanges) for query in found] == [False, True]


def test_what_reading_tasks_give_out_is_noticed(spark: SparkSession, event_log: Path) -> None:
    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield pa.RecordBatch.from_arrays([batch.column(0), batch.column(0).cast(pa.string())], ["doc_id", "body"])

    frame = spark.range(2).mapInArrow(read, "doc_id long, body string")
    found, _ = queries(events_of(spark, event_log, frame.collect))
    assert [columns for query in found for columns in query.of_reading_tasks()] == [{"doc_id", "body"}]
