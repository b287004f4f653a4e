"""Members of buckets, edges and pairs: what the policies work with.

An edge goes from a page of a bucket to the bucket's first page; a pair is two pages with an edge in any band.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial, reduce
from typing import Final, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.pandas.types import from_arrow_schema

from swallow_spark.corpus.lookups import Lookups
from swallow_spark.corpus.read import Scan
from swallow_spark.corpus.write import Kernel
from swallow_spark.kernels.lsh import sketch_bytes
from swallow_spark.kernels.minhash import buckets, exchange, nearest
from swallow_spark.kernels.minhash.minhash import estimated_jaccard
from swallow_spark.stages.deduplicate.order import Boundary, Order
from swallow_spark.stages.deduplicate.spill import DiskSpill

Columns = Callable[..., DataFrame]
"""Reads the named columns of a table."""
Rows = Callable[..., DataFrame | Scan]
"""The same, to map batches of them."""

_REDUCE: Final = Kernel(partial(buckets.reduce, spilling=DiskSpill), buckets.EDGES)


@dataclass(frozen=True)
class Settings:
    """`bands_per_pass` and `partitions` of an exchange change the cost, never the result."""

    policy: Literal["bucket", "greedy", "component"]
    prefer: Literal["oldest", "newest", "longest"]
    min_similarity: float | None
    num_bands: int
    bands_per_pass: int
    partitions: int
    num_pages: int

    @property
    def page_partitions(self) -> int:
        """Of an exchange of one row a page, instead of one for each band of a pass."""
        return -(-self.partitions // min(self.bands_per_pass, self.num_bands))


@dataclass(frozen=True)
class Work:
    """The distinct pages. From here on, doc_id is a page's number in the order."""

    sketches: Columns
    rows: Rows
    copies: Lookups
    order: Order
    settings: Settings
    boundary: Boundary

    def edges(self) -> DataFrame:
        """(doc_id, first, band, key): each page of a bucket but its first, with the first."""
        return reduce(DataFrame.unionAll, (edges for _, edges in self._edges_by_pass()))

    def reduced(self, by: Callable[[str, DataFrame], DataFrame]) -> DataFrame:
        """The result of `by` (name of a boundary, edges) for all edges (doc_id, first, band), pass by pass: each
        of its edges and the result before. So no more than a pass's edges are exchanged at a time. `by` must accept
        its own results."""
        found: list[DataFrame] = []
        for name, edges in self._edges_by_pass():
            rows = reduce(DataFrame.unionAll, [edges.select("doc_id", "first", "band"), *found])
            found = [by(f"reduced-{name}", rows)]
        return found[0]

    def _edges_by_pass(self) -> Iterator[tuple[str, DataFrame]]:
        for start, stop in self._passes(self.settings.bands_per_pass):
            explode = partial(
                _explode,
                copies=self.copies,
                translate=self.order.translation(),
                start=start,
                stop=stop,
                partitions=self.settings.partitions,
            )
            # Both ends are in the name: a resumed run may have other passes.
            name = f"{start}-{stop}"
            lists = self.rows("doc_id", "bands")
            yield name, resolved(exchanged(self.boundary, f"edges-{name}", lists, explode, self.settings.partitions))

    def edges_of(self, rows: DataFrame, count: int, name: str) -> DataFrame:
        """`edges` of some members of buckets (key, doc_id, band), `count` of them; in as few passes as disk allows."""
        per_pass = max(1, self.settings.num_pages * self.settings.bands_per_pass)
        bands = max(1, self.settings.num_bands // -(-count // per_pass))
        partitions = min(self.settings.partitions, -(-self.settings.partitions * count // per_pass))
        found = []
        for start, stop in self._passes(bands):
            members = rows.where(F.col("band").between(start, stop - 1)).select("key", "doc_id", "band")
            thin = partial(_thin_again, partitions=partitions)
            found.append(exchanged(self.boundary, f"{name}-{start}-{stop}", members, thin, partitions))
        return resolved(reduce(DataFrame.unionAll, found))

    def _passes(self, bands: int) -> list[tuple[int, int]]:
        starts = range(0, self.settings.num_bands, bands)
        return [(start, min(start + bands, self.settings.num_bands)) for start in starts]

    def pairs(self, name: str, edges: DataFrame) -> DataFrame:
        """`pairs_of`, written at a boundary."""
        return self.boundary(name, pairs_of(edges))

    def nearest(self, name: str, edges: DataFrame) -> DataFrame:
        """(doc_id, first, band): each page's lowest `first`, with the lowest band; written at a boundary."""
        thin = partial(nearest.thin, partitions=self.settings.page_partitions)
        by = Kernel(nearest.reduce, nearest.SCHEMA)
        return exchanged(self.boundary, name, edges.select(*by.schema.names), thin, self.settings.page_partitions, by)

    def alike(self, pairs: DataFrame, signed: DataFrame | None = None) -> DataFrame:
        """The pairs (doc_id, first, band) that are similar enough; all without `min_similarity`.

        signed: (doc_id, sketch) of at least these pages; default: of all.
        """
        if self.settings.min_similarity is None:
            return pairs
        signed = self.signed() if signed is None else signed
        own = signed.withColumnRenamed("sketch", "own")
        other = signed.withColumnsRenamed({"sketch": "other", "doc_id": "first"})
        compared = estimate(pairs.join(own, "doc_id").join(other, "first"), ["doc_id", "first", "band"])
        return compared.where(F.col("similarity") >= F.lit(self.settings.min_similarity).cast("float")).drop(
            "similarity"
        )

    def signed(self, of: DataFrame | None = None) -> DataFrame:
        """(doc_id, sketch) of all pages, or of those in a frame."""
        signed = self.order.numbered(self.sketches("doc_id", "sketch"))
        return signed if of is None else signed.join(of.select("doc_id"), "doc_id", "left_semi")


def pairs_of(edges: DataFrame) -> DataFrame:
    """(doc_id, first, band): each pair of pages once, with its lowest band."""
    return edges.groupBy("doc_id", "first").agg(F.min("band").alias("band"))


def _explode(
    batches: Iterator[pa.RecordBatch],
    copies: Lookups,
    translate: Callable[[NDArray[np.int64]], NDArray[np.int64]],
    start: int,
    stop: int,
    partitions: int,
) -> Iterator[pa.RecordBatch]:
    def rows() -> Iterator[buckets.Rows]:
        for batch in batches:
            doc_ids = batch.column("doc_id").to_numpy()
            fresh = ~copies.find(doc_ids)[0]
            if fresh.any():
                lists = batch.column("bands").filter(pa.array(fresh))
                yield buckets.explode(translate(doc_ids[fresh]), lists, start, stop)

    return buckets.thin(rows(), partitions)


def _thin_again(batches: Iterator[pa.RecordBatch], partitions: int) -> Iterator[pa.RecordBatch]:
    names = ("key", "doc_id", "band")
    rows = (buckets.members(*(batch.column(name).to_numpy() for name in names)) for batch in batches)
    return buckets.thin(rows, partitions)


def exchanged(
    boundary: Boundary,
    name: str,
    rows: DataFrame | Scan,
    pack: Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]],
    partitions: int,
    by: Kernel = _REDUCE,
) -> DataFrame:
    """Rows packed by `pack` (exchange.PACKED), exchanged by partition, reduced by a kernel, written at a boundary."""
    packed = rows.mapInArrow(pack, from_arrow_schema(exchange.PACKED))
    together = packed.repartitionById(partitions, "partition") if partitions > 1 else packed.coalesce(1)
    return boundary(name, together.select("rows"), by)


def resolved(edges: DataFrame) -> DataFrame:
    """(doc_id, first, band, key) of buckets.EDGES, where each `first` is the first of its whole bucket."""
    names = ["doc_id", "first", "band", "key"]
    sure = edges.where("not thinned").select(*names)
    leads = edges.where("leads")
    onward = leads.select(F.col("doc_id").alias("first"), "band", F.col("first").alias("onward"))
    thinned = edges.where("thinned").join(onward, ["first", "band"], "left")
    return sure.unionAll(thinned.withColumn("first", F.coalesce("onward", "first")).select(*names))


def estimate(pairs: DataFrame, names: list[str]) -> DataFrame:
    """The named columns, and the `similarity` of the sketches `own` and `other`."""
    types = dict(pairs.dtypes)
    ddl = ", ".join([*(f"{name} {types[name]}" for name in names), "similarity float"])
    return pairs.select(*names, "own", "other").mapInArrow(_similarity, ddl)


def _similarity(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        own, other = (sketch_bytes(batch.column(name)) for name in ("own", "other"))
        *columns, _, _ = batch.columns
        similarity = pa.array(estimated_jaccard(own, other), pa.float32())
        yield pa.RecordBatch.from_arrays([*columns, similarity], [*batch.schema.names[:-2], "similarity"])
