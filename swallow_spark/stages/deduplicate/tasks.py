"""Deduplicate: which pages are kept, over all pairs of pages that share a bucket.

The pages have an order (`prefer`): oldest (ascending doc_id, the order of registration), newest (descending), longest
(characters descending, then doc_id). Every policy drops a page whose text an earlier page has. Of the others:

* `bucket` (the rule of doubri, which made Swallow v2): a page is dropped if and only if an earlier page shares one of
  its buckets. With `min_similarity`: if and only if it is that similar to the first page of one of its buckets.
* `greedy`: a page is dropped if and only if an earlier KEPT page shares one of its buckets: the first maximal
  independent set in the order. With `min_similarity`: if and only if it is that similar to the first kept page of one
  of its buckets.
* `component`: the first page of each connected component of pages that share buckets is kept; for comparison.

Similarity is the estimate by the two sketches. Under `bucket` and `greedy` with `oldest`, later pages never change what
happens to a page. Only narrow rows are exchanged: (key, doc_id, band) for each band of each distinct page, then one
edge for each page of a bucket except the first (kernels/minhash/buckets.py).
"""

import itertools
from collections.abc import Iterator
from typing import Final, NamedTuple

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark.corpus.write import Kernel
from swallow_spark.kernels.minhash import chains
from swallow_spark.stages.deduplicate.copies import exact_copies, with_copies
from swallow_spark.stages.deduplicate.order import Boundary, Order, Shipping
from swallow_spark.stages.deduplicate.policies import bucket, components, greedy
from swallow_spark.stages.deduplicate.work import Columns, Rows, Settings, Work, estimate
from swallow_spark.tables import DUPLICATES

__all__ = ["Boundary", "Columns", "Deduplicated", "Rows", "Settings", "Shipping", "deduplicate"]

_FALLS: Final = pa.schema(
    [("doc_id", pa.int64()), ("witness", pa.int64()), ("band", pa.int32()), ("representative", pa.int64())]
)


class Deduplicated(NamedTuple):
    """Rows of tables.DUPLICATES and tables.GROUPS, and the number of rounds of the policy."""

    duplicates: DataFrame
    groups: DataFrame
    rounds: int


def deduplicate(
    sketches: Columns, rows: Rows, lengths: DataFrame, settings: Settings, boundary: Boundary, ship: Shipping
) -> Deduplicated:
    """The pages that are dropped and those that are kept.

    sketches, rows: read columns of (doc_id, bands, sketch, text_hash), as a frame or in the tasks themselves. lengths:
    (doc_id, num_chars) of the same pages; read only if the longest are preferred.
    """
    copies = exact_copies(rows, settings, boundary)
    order = Order(settings.prefer, settings.partitions, lengths, boundary, ship)
    work = Work(sketches, rows, ship(copies.select("doc_id")), order, settings, boundary)
    found, rounds = {"bucket": bucket, "greedy": greedy, "component": components}[settings.policy](work)
    found = order.to_doc_ids(found, "doc_id", "first").withColumnRenamed("first", "witness")
    falls = represented(with_copies(found, copies), settings, boundary)
    duplicates = with_similarity(falls, sketches).withColumn("policy", F.lit(settings.policy))
    return Deduplicated(duplicates.select(*DUPLICATES.names), groups(sketches, falls), rounds)


def represented(falls: DataFrame, settings: Settings, boundary: Boundary) -> DataFrame:
    """Adds `representative`: the end of each page's chain of witnesses. One task finds them for few pages; for more it
    takes pointer jumping: each round doubles a pointer's span, so a chain of n links takes log2(n) rounds, and one
    more to see that all have arrived."""
    if settings.policy != "bucket":  # witnesses are kept pages
        return boundary("falls", falls.withColumn("representative", F.col("witness")))
    if settings.num_pages <= chains.MAX_ROWS:
        return boundary("falls", falls.repartition(1), by=Kernel(_follow, _FALLS))
    falls = boundary("falls", falls)
    ends = falls.select("doc_id", F.col("witness").alias("end"))
    for number in itertools.count():
        onward = ends.select(F.col("doc_id").alias("end"), F.col("end").alias("onward"))
        jumped = ends.join(onward, "end", "left").select(
            "doc_id", F.coalesce("onward", "end").alias("end"), F.col("onward").isNotNull().alias("moved")
        )
        ends = boundary(f"ends-{number}", jumped)
        if ends.where("moved").isEmpty():
            break
    return boundary("represented", falls.join(ends.select("doc_id", F.col("end").alias("representative")), "doc_id"))


def _follow(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    schema = pa.schema([field for field in _FALLS if field.name != "representative"])
    # A plan over empty frames knows that a column is never null.
    falls = pa.Table.from_batches((batch.cast(schema) for batch in batches), schema)
    doc_ids, witnesses = (falls.column(name).to_numpy() for name in ("doc_id", "witness"))
    yield from falls.append_column("representative", pa.array(chains.ends(doc_ids, witnesses))).to_batches()


def groups(sketches: Columns, falls: DataFrame) -> DataFrame:
    """tables.GROUPS: each kept page, and how many other pages it represents."""
    counts = falls.groupBy(F.col("representative").alias("doc_id")).agg(F.count("*").alias("num_duplicates"))
    kept = sketches("doc_id").join(falls.select("doc_id"), "doc_id", "left_anti")
    return kept.join(counts, "doc_id", "left").select(
        "doc_id", F.coalesce("num_duplicates", F.lit(0).cast("long")).alias("num_duplicates")
    )


def with_similarity(duplicates: DataFrame, sketches: Columns) -> DataFrame:
    """Adds `similarity`: the Jaccard similarity of page and witness, estimated by their sketches."""
    own = sketches("doc_id", "sketch").withColumnRenamed("sketch", "own")
    other = sketches("doc_id", "sketch").withColumnsRenamed({"doc_id": "witness", "sketch": "other"})
    pairs = duplicates.join(own, "doc_id").join(other, "witness")
    return estimate(pairs, ["doc_id", "witness", "representative", "band"])
