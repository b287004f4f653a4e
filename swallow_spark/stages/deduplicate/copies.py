"""Exact copies: pages whose text an earlier page has."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark.kernels.lsh import sketch_bytes, text_keys
from swallow_spark.kernels.minhash import buckets
from swallow_spark.stages.deduplicate.order import Boundary
from swallow_spark.stages.deduplicate.work import Rows, Settings, exchanged, resolved


def exact_copies(sketches: Rows, settings: Settings, boundary: Boundary) -> DataFrame:
    """(doc_id, first) for each page whose text_hash and sketch an earlier page has; `first` is the earliest.

    Copies share all buckets with their first, so leaving them out of the rest changes only the cost. They are found as
    if 64 bits of text_hash and sketch were another band.
    """
    sign = -1 if settings.prefer == "newest" else 1  # copies are equally long
    pack = partial(_packed, sign=sign, partitions=settings.page_partitions)
    texts = sketches("doc_id", "text_hash", "sketch")
    edges = resolved(exchanged(boundary, "copies", texts, pack, settings.page_partitions))
    return edges.select((sign * F.col("doc_id")).alias("doc_id"), (sign * F.col("first")).alias("first"))


def with_copies(falls: DataFrame, copies: DataFrame) -> DataFrame:
    """(doc_id, witness, band) of distinct pages and of copies, whose witness is that of their first, or their first."""
    falls = falls.select("doc_id", "witness", "band")
    of_first = falls.withColumnRenamed("doc_id", "first")
    of_copies = copies.join(of_first, "first", "left").select(
        "doc_id", F.coalesce("witness", "first").alias("witness"), F.coalesce("band", F.lit(0)).alias("band")
    )
    return falls.unionAll(of_copies)


def _packed(batches: Iterator[pa.RecordBatch], sign: int, partitions: int) -> Iterator[pa.RecordBatch]:
    def rows() -> Iterator[buckets.Rows]:
        for batch in batches:
            if batch.num_rows:
                keys = text_keys(batch.column("text_hash").to_numpy(), sketch_bytes(batch.column("sketch")))
                numbers = sign * batch.column("doc_id").to_numpy()
                yield buckets.members(keys, numbers, np.zeros(1, np.int32))

    return buckets.thin(rows(), partitions)
