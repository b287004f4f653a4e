"""No text crosses a shuffle: shown by the plans of all queries of a build, as the event log has them after they ran.

Text is recognised in two ways. By name: no exchange has a column `text` among its inputs. And by where it is read,
whatever it is called later: a query that scans `text`, which only `pages` and the subsets have, exchanges nothing. What
tasks read themselves (scan.Scan) the plans don't tell, but what those tasks give out: lists of written files, and
what dedup exchanges (exchange.PACKED: rows of numbers, made of sketches).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from runs import Built, events_of, table

from swallow_spark.corpus.write import WRITTEN
from swallow_spark.kernels.minhash import buckets, nearest
from swallow_spark.kernels.minhash.exchange import PACKED

_NODE = re.compile(r"^\((\d+)\) ([^\n]*)\n(.*?)(?=^\(\d+\) |^=====|\Z)", re.MULTILINE | re.DOTALL)


@dataclass
class Query:
    """A SQL execution: its plans, the first and those that adaptive execution made of it, and what was shuffled."""

    plans: list[str] = field(default_factory=list)
    shuffled_bytes: int = 0

    def nodes(self) -> Iterator[tuple[str, str]]:
        """(name, details) of each operator of each plan."""
        for plan in self.plans:
            found = _NODE.findall(plan)
            assert found, f"no operators in a plan: {plan[:200]}"
            for _, name, details in found:
                yield name, details

    @property
    def exchanges(self) -> list[tuple[str, str]]:
        return [(name, details) for name, details in self.nodes() if "Exchange" in name or "QueryStage" in name]

    @property
    def reads_text(self) -> bool:
        return any(
            name.startswith("Scan") and re.search(r"(?:^|[\s,<\[])text(?:#\d+|:)", details)
            for name, details in self.nodes()
        )

    def of_reading_tasks(self) -> list[set[str]]:
        """The columns that tasks give out which are handed numbers, of files to read, and no rows."""
        handed = [details for name, details in self.nodes() if name == "MapInArrow" and "Input [1]: [id#" in details]
        return [set(re.findall(r"(\w+)#", details.partition(")#")[2])) for details in handed]

    @property
    def exchanges_text(self) -> bool:
        """Whether a column named text goes into an exchange, or anything does in a query that scans text."""
        named = any(re.search(r"[\[ ]text#\d+", details) for _, details in self.exchanges)
        return named or (self.reads_text and bool(self.exchanges or self.shuffled_bytes))


def queries(events: list[dict[str, Any]]) -> tuple[list[Query], int]:
    """The queries of an event log, and the bytes that stages outside any query shuffled."""
    found: dict[int, Query] = {}
    query_of_stage: dict[int, int | None] = {}
    outside = 0
    for event in events:
        kind = event["Event"].rpartition(".")[2]
        if kind in ("SparkListenerSQLExecutionStart", "SparkListenerSQLAdaptiveExecutionUpdate"):
            found.setdefault(event["executionId"], Query()).plans.append(event["physicalPlanDescription"])
        elif kind == "SparkListenerJobStart":
            execution = event.get("Properties", {}).get("spark.sql.execution.id")
            query_of_stage.update(dict.fromkeys(event["Stage IDs"], int(execution) if execution else None))
        elif kind == "SparkListenerTaskEnd":
            written = event["Task Metrics"]["Shuffle Write Metrics"]["Shuffle Bytes Written"]
            execution = query_of_stage[event["Stage ID"]]
            if execution in found:
                found[execution].shuffled_bytes += written
            else:
                outside += written
    return list(found.values()), outside


def test_no_text_crosses_a_shuffle_in_a_build(built: Built) -> None:
    found, outside = queries(built.events)
    assert [query.exchanges for query in found if query.exchanges_text] == []
    assert outside == 0
    readers = [query for query in found if query.reads_text]
    assert len(readers) == 1, "the report's samples; other text is read by the tasks that work on it"
    assert sum(query.shuffled_bytes for query in readers) == 0
    given = [columns for query in found for columns in query.of_reading_tasks()]
    assert len(given) >= 4, "ingest, annotate, score and select"
    packed = set(PACKED.names)
    assert all(columns <= set(WRITTEN.names) or columns == packed for columns in given), given
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
