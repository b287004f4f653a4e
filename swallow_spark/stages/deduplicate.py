"""Deduplicate: which pages are kept, over all pairs of pages that share a bucket.

The pages have an order (`prefer`): oldest (ascending doc_id, the order of registration), newest (descending), longest
(characters descending, then doc_id). A page whose text an earlier page has always falls, by any policy. Of the others:

* `bucket` (the rule of doubri, which made Swallow v2): a page falls if and only if an earlier page shares one of its
  buckets. With `min_similarity`: if and only if, in one of its buckets, it is as similar as that to the bucket's first.
* `greedy`: a page falls if and only if an earlier KEPT page shares one of its buckets: the first maximal independent
  set in the order. With `min_similarity`: if and only if, in one of its buckets, it is as similar as that to the
  bucket's first kept page.
* `component`: of each connected component of pages that share buckets the first is kept; for comparison.

Similarity is the estimate by the two sketches. Under `bucket` and `greedy` with `oldest` a page's fate never depends on
later pages. Only narrow rows are exchanged: (key, doc_id, band) for each band of each distinct page, then one edge for
each page of a bucket but its first (kernels/buckets.py).
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial, reduce
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.pandas.types import from_arrow_schema

from swallow_spark.kernels import buckets
from swallow_spark.kernels.minhash import estimated_jaccard
from swallow_spark.lookups import Lookups
from swallow_spark.tables import DUPLICATES

Boundary = Callable[[str, DataFrame], DataFrame]
"""Writes a narrow frame under a name and reads it back: done once, and a lost part is redone alone."""
Shipping = Callable[[DataFrame], Lookups]


@dataclass(frozen=True)
class Settings:
    """`num_bands` as sketched; `bands_per_pass` and `partitions` of an exchange change the cost, never the result."""

    policy: Literal["bucket", "greedy", "component"]
    prefer: Literal["oldest", "newest", "longest"]
    min_similarity: float | None
    num_bands: int
    bands_per_pass: int
    partitions: int


class Deduplicated(NamedTuple):
    """tables.DUPLICATES and tables.GROUPS, and how many rounds the policy took."""

    duplicates: DataFrame
    groups: DataFrame
    rounds: int


def deduplicate(
    sketches: DataFrame, lengths: DataFrame, settings: Settings, boundary: Boundary, ship: Shipping
) -> Deduplicated:
    """The pages that fall and those that are kept, of sketches (doc_id, bands, sketch, text_hash).

    lengths: (doc_id, num_chars) of the same pages; read only where the longest are preferred.
    """
    copies = boundary("copies", exact_copies(sketches, settings.prefer))
    order = _Order(settings, lengths, boundary, ship)
    work = _Work(sketches, ship(copies.select("doc_id")), order, settings, boundary)
    rounds = 1
    if settings.policy == "bucket":
        found = work.nearest(work.pairs(work.edges("edges")))
    elif settings.policy == "greedy":
        found, rounds = _greedy(work)
    else:
        found, rounds = _components(work)
    falls = boundary("falls", _with_copies(order.to_doc_ids(found, "doc_id", "witness"), copies))
    ends = representatives(falls, boundary)
    duplicates = with_similarity(falls.join(ends, "doc_id"), sketches).withColumn("policy", F.lit(settings.policy))
    return Deduplicated(duplicates.select(*DUPLICATES.names), groups(sketches, falls, ends), rounds)


def exact_copies(sketches: DataFrame, prefer: str = "oldest") -> DataFrame:
    """(doc_id, first) for each page whose text_hash and sketch an earlier page has; `first` is the earliest.

    Copies share all buckets with their first, so leaving them out of what follows changes nothing but the cost.
    """
    keyed = sketches.select("doc_id", "text_hash", F.xxhash64("sketch").alias("sketch_hash"))
    same = ["text_hash", "sketch_hash"]
    earliest = F.max("doc_id") if prefer == "newest" else F.min("doc_id")  # copies are equally long
    firsts = keyed.groupBy(*same).agg(earliest.alias("first"), F.count("*").alias("n")).where("n > 1")
    return keyed.join(firsts, same).where("doc_id != first").select("doc_id", "first")


class _Order:
    """Numbers that ascend in the order of preference, in the place of doc_ids."""

    def __init__(self, settings: Settings, lengths: DataFrame, boundary: Boundary, ship: Shipping) -> None:
        self.prefer = settings.prefer
        if self.prefer == "longest":
            self.ranks = ranks(lengths, settings.partitions, boundary)
            self.shipped = ship(self.ranks)

    def translation(self) -> Callable[[NDArray[np.int64]], NDArray[np.int64]]:
        """A function for tasks: doc_ids to numbers."""
        if self.prefer == "longest":
            return partial(_look_up, self.shipped)
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


def _look_up(shipped: Lookups, doc_ids: NDArray[np.int64]) -> NDArray[np.int64]:
    return shipped.find(doc_ids)[1]["rank"]


def ranks(lengths: DataFrame, partitions: int, boundary: Boundary) -> DataFrame:
    """(doc_id, rank): places in the order of num_chars descending, doc_id ascending.

    The pages are sorted by ranges; a page's rank is its place in its range and the sizes of the ranges before.
    """
    by = [F.col("num_chars").desc(), F.col("doc_id").asc()]
    ordered = lengths.repartitionByRange(partitions, *by).sortWithinPartitions(*by)
    placed = ordered.select("doc_id", F.spark_partition_id().alias("range")).mapInArrow(
        _places, "doc_id long, range int, place long"
    )
    placed = boundary("ranks", placed)
    counted = placed.groupBy("range").agg(F.count("*").alias("n")).collect()
    starts, total = {}, 0
    for row in sorted(counted, key=lambda row: row.range):
        starts[row.range] = total
        total += row.n
    if not starts:
        return placed.select("doc_id", F.col("place").alias("rank"))
    start = F.create_map(*(F.lit(value) for pair in starts.items() for value in pair))[F.col("range")]
    return placed.select("doc_id", (F.col("place") + start).cast("long").alias("rank"))


def _places(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    place = 0
    for batch in batches:
        places = pa.array(np.arange(place, place + batch.num_rows))
        place += batch.num_rows
        yield pa.RecordBatch.from_arrays([*batch.columns, places], ["doc_id", "range", "place"])


@dataclass(frozen=True)
class _Work:
    """The distinct pages, in the place of whose doc_ids stand numbers of the order from here on."""

    sketches: DataFrame
    copies: Lookups
    order: _Order
    settings: Settings
    boundary: Boundary

    def edges(self, name: str, rows: DataFrame | None = None) -> DataFrame:
        """(doc_id, first, band, key): each page of a bucket but its first, with the first. Pass by pass of bands.

        rows: members of buckets (key, doc_id, band); those of all distinct pages where not given.
        """
        found = []
        for start in range(0, self.settings.num_bands, self.settings.bands_per_pass):
            stop = min(start + self.settings.bands_per_pass, self.settings.num_bands)
            if rows is None:
                lists = self.sketches.select("doc_id", F.slice("bands", start + 1, stop - start).alias("bands"))
                explode = partial(_explode, copies=self.copies, translate=self.order.translation(), start=start)
                mapped = lists.mapInArrow(explode, from_arrow_schema(buckets.KEYS))
            else:
                members = rows.where(F.col("band").between(start, stop - 1)).select("key", "doc_id", "band")
                mapped = members.mapInArrow(_thin_again, from_arrow_schema(buckets.KEYS))
            # A thinned row has no business with its key's partition, which would be hot: it is spread by its page.
            by = F.when(F.col("first").isNull(), F.col("key")).otherwise(F.col("doc_id"))
            exchanged = mapped.repartition(self.settings.partitions, by)
            reduced = exchanged.mapInArrow(_reduce, from_arrow_schema(buckets.EDGES))
            # Both ends are in the name: a run that goes on may cut the passes otherwise.
            found.append(self.boundary(f"{name}-{start}-{stop}", reduced))
        return resolved(reduce(DataFrame.unionAll, found))

    def pairs(self, edges: DataFrame) -> DataFrame:
        """(doc_id, first, band) of edges, each pair once with its lowest band; those that are similar enough."""
        pairs = edges.groupBy("doc_id", "first").agg(F.min("band").alias("band"))
        if self.settings.min_similarity is None:
            return pairs
        signed = self.order.numbered(self.sketches.select("doc_id", "sketch"))
        own = signed.withColumnRenamed("sketch", "own")
        other = signed.withColumnRenamed("sketch", "other").withColumnRenamed("doc_id", "first")
        compared = _estimate(pairs.join(own, "doc_id").join(other, "first"), ["doc_id", "first", "band"])
        return compared.where(F.col("similarity") >= F.lit(self.settings.min_similarity).cast("float")).drop(
            "similarity"
        )

    def nearest(self, pairs: DataFrame) -> DataFrame:
        """(doc_id, witness, band): of each page the first `first`, and the lowest band with it."""
        least = pairs.groupBy("doc_id").agg(F.min(F.struct("first", "band")).alias("least"))
        return least.select("doc_id", F.col("least.first").alias("witness"), F.col("least.band").alias("band"))


def _explode(
    batches: Iterator[pa.RecordBatch],
    copies: Lookups,
    translate: Callable[[NDArray[np.int64]], NDArray[np.int64]],
    start: int,
) -> Iterator[pa.RecordBatch]:
    def rows() -> Iterator[buckets.Rows]:
        for batch in batches:
            doc_ids = batch.column("doc_id").to_numpy()
            fresh = ~copies.find(doc_ids)[0]
            if fresh.any():
                lists = batch.column("bands").filter(pa.array(fresh))
                yield buckets.explode(translate(doc_ids[fresh]), lists, start)

    return buckets.thin(rows())


def _thin_again(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    names = ("key", "doc_id", "band")
    return buckets.thin(buckets.Rows(*(batch.column(name).to_numpy() for name in names)) for batch in batches)


def _reduce(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    return buckets.reduce(batches)


def resolved(edges: DataFrame) -> DataFrame:
    """(doc_id, first, band, key) of buckets.EDGES: each `first` is the first of its bucket, thinned rows included."""
    names = ["doc_id", "first", "band", "key"]
    sure = edges.where("not thinned").select(*names)
    onward = sure.select(F.col("doc_id").alias("first"), "band", F.col("first").alias("onward"))
    thinned = edges.where("thinned").join(onward, ["first", "band"], "left")
    return sure.unionAll(thinned.withColumn("first", F.coalesce("onward", "first")).select(*names))


def _greedy(work: _Work) -> tuple[DataFrame, int]:
    """In each round, a page with no undecided page before it in any of its buckets is kept, and whoever it is near to
    falls. What a round leaves open are the members of buckets whose first is undecided itself."""
    rows: DataFrame | None = None
    falls: list[DataFrame] = []
    for number in itertools.count(1):
        edges = work.boundary(f"round-{number}", work.edges(f"edges-{number}", rows))
        blocked = work.boundary(f"blocked-{number}", edges.select("doc_id").distinct())
        firsts = blocked.withColumnRenamed("doc_id", "first")
        by_kept = edges.join(firsts, "first", "left_anti")
        fallen = work.boundary(f"fallen-{number}", work.nearest(work.pairs(by_kept)))
        falls.append(fallen)
        undecided = edges.join(firsts, "first", "left_semi")
        members = undecided.select("key", "doc_id", "band").unionAll(
            undecided.select("key", F.col("first").alias("doc_id"), "band").distinct()
        )
        rows = work.boundary(f"rows-{number}", members.join(fallen.select("doc_id"), "doc_id", "left_anti"))
        if rows.isEmpty():
            break
    return reduce(DataFrame.unionAll, falls), number


def _components(work: _Work) -> tuple[DataFrame, int]:
    """Connected components by alternating large-star and small-star steps (Kiveris et al., Connected Components in
    MapReduce and Beyond, SoCC 2014). The witness is the component's first page; the band is -1 where no bucket is
    shared with an earlier page."""
    pairs = work.boundary("pairs", work.pairs(work.edges("edges")))
    edges = pairs.select(F.col("doc_id").alias("u"), F.col("first").alias("v"))
    before = None
    for number in itertools.count(1):
        edges = work.boundary(f"stars-{number}", _small_star(_large_star(edges)))
        after = edges.agg(F.count("*"), F.sum(F.xxhash64("u", "v").cast("decimal(38,0)"))).collect()[0]
        if after == before:
            break
        before = after
    bands = pairs.groupBy(F.col("doc_id").alias("u")).agg(F.min("band").alias("band"))
    stars = edges.join(bands, "u", "left")
    band = F.coalesce("band", F.lit(-1)).alias("band")
    return stars.select(F.col("u").alias("doc_id"), F.col("v").alias("witness"), band), number


def _large_star(edges: DataFrame) -> DataFrame:
    """Every neighbour after u is linked to the first of u and its neighbours."""
    both = edges.unionAll(edges.select(F.col("v").alias("u"), F.col("u").alias("v")))
    firsts = both.groupBy("u").agg(F.min("v").alias("least")).select("u", F.least("u", "least").alias("least"))
    later = both.join(firsts, "u").where("v > u")
    return later.select(F.col("v").alias("u"), F.col("least").alias("v")).distinct()


def _small_star(edges: DataFrame) -> DataFrame:
    """u and its neighbours before it are linked to the first of them. Edges go from the later page to the earlier."""
    firsts = edges.groupBy("u").agg(F.min("v").alias("least"))
    others = edges.join(firsts, "u").where("v != least").select(F.col("v").alias("u"), F.col("least").alias("v"))
    return firsts.select("u", F.col("least").alias("v")).unionAll(others).distinct()


def _with_copies(falls: DataFrame, copies: DataFrame) -> DataFrame:
    """(doc_id, witness, band) of distinct pages, and of copies: they fall by the witness of their first, or by it."""
    falls = falls.select("doc_id", "witness", "band")
    of_first = falls.withColumnRenamed("doc_id", "first")
    of_copies = copies.join(of_first, "first", "left").select(
        "doc_id", F.coalesce("witness", "first").alias("witness"), F.coalesce("band", F.lit(0)).alias("band")
    )
    return falls.unionAll(of_copies)


def representatives(falls: DataFrame, boundary: Boundary) -> DataFrame:
    """(doc_id, representative): the end of each page's chain of witnesses, by pointer jumping: a round doubles what a
    pointer spans, so a chain of n links takes log2(n) rounds, and one more to see that all have arrived."""
    ends = falls.select("doc_id", F.col("witness").alias("end"))
    for number in itertools.count():
        onward = ends.select(F.col("doc_id").alias("end"), F.col("end").alias("onward"))
        jumped = ends.join(onward, "end", "left").select(
            "doc_id", F.coalesce("onward", "end").alias("end"), F.col("onward").isNotNull().alias("moved")
        )
        ends = boundary(f"ends-{number}", jumped)
        if ends.where("moved").isEmpty():
            break
    return ends.select("doc_id", F.col("end").alias("representative"))


def groups(sketches: DataFrame, falls: DataFrame, ends: DataFrame) -> DataFrame:
    """tables.GROUPS: each kept page, and how many pages it represents beside itself."""
    counts = ends.groupBy(F.col("representative").alias("doc_id")).agg(F.count("*").alias("num_duplicates"))
    kept = sketches.select("doc_id").join(falls.select("doc_id"), "doc_id", "left_anti")
    return kept.join(counts, "doc_id", "left").select(
        "doc_id", F.coalesce("num_duplicates", F.lit(0).cast("long")).alias("num_duplicates")
    )


def with_similarity(duplicates: DataFrame, sketches: DataFrame) -> DataFrame:
    """Adds `similarity`, the estimate of the Jaccard similarity of page and witness by their sketches."""
    own = sketches.select("doc_id", F.col("sketch").alias("own"))
    other = sketches.select(F.col("doc_id").alias("witness"), F.col("sketch").alias("other"))
    pairs = duplicates.join(own, "doc_id").join(other, "witness")
    return _estimate(pairs, ["doc_id", "witness", "representative", "band"])


def _estimate(pairs: DataFrame, names: list[str]) -> DataFrame:
    """The named columns, and `similarity` by the sketches `own` and `other`."""
    types = dict(pairs.dtypes)
    ddl = ", ".join([*(f"{name} {types[name]}" for name in names), "similarity float"])
    return pairs.select(*names, "own", "other").mapInArrow(_similarity, ddl)


def _similarity(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        own, other = (_bits(batch.column(name)) for name in ("own", "other"))
        *columns, _, _ = batch.columns
        similarity = pa.array(estimated_jaccard(own, other), pa.float32())
        yield pa.RecordBatch.from_arrays([*columns, similarity], [*batch.schema.names[:-2], "similarity"])


def _bits(sketches: pa.Array) -> NDArray[np.uint8]:
    """Packed sketches as (n, bytes)."""
    if not len(sketches):
        return np.zeros((0, 1), np.uint8)
    return np.frombuffer(b"".join(sketches.to_pylist()), np.uint8).reshape(len(sketches), -1)
