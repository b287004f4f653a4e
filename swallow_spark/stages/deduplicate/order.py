"""The order of preference, in which the earlier page is kept: numbers instead of doc_ids."""

from collections.abc import Callable, Iterator
from typing import Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark.corpus.lookups import Lookups
from swallow_spark.corpus.write import Kernel

_PLACES: Final = pa.schema([("doc_id", pa.int64()), ("range", pa.int32()), ("place", pa.int64())])


class Boundary(Protocol):
    """Writes a narrow frame, or a kernel's result for it, under a name and reads it back: computed once."""

    def __call__(self, name: str, df: DataFrame, by: Kernel | None = None) -> DataFrame: ...


Shipping = Callable[[DataFrame], Lookups]


class Order:
    """Numbers that ascend in the order of preference."""

    def __init__(self, prefer: str, partitions: int, lengths: DataFrame, boundary: Boundary, ship: Shipping) -> None:
        self.prefer = prefer
        if self.prefer == "longest":
            self.ranks = ranks(lengths, partitions, boundary)
            self.shipped = ship(self.ranks)

    def translation(self) -> Callable[[NDArray[np.int64]], NDArray[np.int64]]:
        """A function for tasks: doc_ids to numbers."""
        if self.prefer == "longest":
            shipped = self.shipped
            return lambda doc_ids: shipped.find(doc_ids)[1]["rank"]
        return np.negative if self.prefer == "newest" else np.asarray

    def to_doc_ids(self, df: DataFrame, *columns: str) -> DataFrame:
        """The frame with doc_ids instead of numbers."""
        for column in columns:
            if self.prefer == "newest":
                df = df.withColumn(column, -F.col(column))
            elif self.prefer == "longest":
                named = self.ranks.select(F.col("doc_id").alias("_doc_id"), F.col("rank").alias(column))
                df = df.join(named, column).drop(column).withColumnRenamed("_doc_id", column)
        return df

    def numbered(self, df: DataFrame) -> DataFrame:
        """The frame with numbers instead of its doc_id."""
        if self.prefer == "longest":
            return df.join(self.ranks, "doc_id").drop("doc_id").withColumnRenamed("rank", "doc_id")
        return df.withColumn("doc_id", -F.col("doc_id")) if self.prefer == "newest" else df


def ranks(lengths: DataFrame, partitions: int, boundary: Boundary) -> DataFrame:
    """(doc_id, rank) in the order of num_chars descending, doc_id ascending: a page's place in its range of the sorted
    pages, plus the sizes of the ranges before."""
    by = [F.col("num_chars").desc(), F.col("doc_id").asc()]
    ordered = lengths.repartitionByRange(partitions, *by).sortWithinPartitions(*by)
    ranges = ordered.select("doc_id", F.spark_partition_id().alias("range"))
    placed = boundary("ranks", ranges, by=Kernel(_places, _PLACES))
    counted = placed.groupBy("range").agg(F.count("*").alias("n")).collect()
    sizes = pa.table({"range": pa.array([row.range for row in counted], pa.int32()), "n": [row.n for row in counted]})
    sizes = sizes.sort_by("range")
    starts = sizes.append_column("start", pc.subtract(pc.cumulative_sum(sizes["n"]), sizes["n"])).drop_columns("n")
    started = placed.join(F.broadcast(placed.sparkSession.createDataFrame(starts)), "range")  # a row a partition
    return started.select("doc_id", (F.col("place") + F.col("start")).alias("rank"))


def _places(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    place = 0
    for batch in batches:
        places = pa.array(np.arange(place, place + batch.num_rows))
        place += batch.num_rows
        yield pa.RecordBatch.from_arrays([*batch.columns, places], _PLACES.names)
