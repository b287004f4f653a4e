"""Deduplicate: which pages are kept, over all pairs of pages that share a bucket.

Policy `bucket` (the rule of doubri, which made Swallow v2): a page falls if and only if an earlier page shares one of
its buckets. Earlier is a smaller doc_id, the order of registration, so a page's fate never depends on later crawls.

Only narrow rows are exchanged: (key, doc_id, band) for each band of each distinct page, then one edge for each fall.
No pair of pages is ever formed: each page of a bucket is compared with the bucket's first, so a bucket of n pages costs
n rows. Hot buckets are thinned inside each map task; what remains of one is at most a row a task and a chunk.
"""

import itertools
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark.kernels.minhash import estimated_jaccard
from swallow_spark.lookups import Lookups
from swallow_spark.tables import DUPLICATES

Boundary = Callable[[str, DataFrame], DataFrame]
"""Writes a narrow frame under a name and reads it back: done once, and a lost part is redone alone."""
Shipping = Callable[[DataFrame], Lookups]

# A key that a chunk holds at least so often is thinned to its first page there. Rarer ones are not worth the join that
# resolves what was thinned.
_HOT: Final = 16
_CHUNK_ROWS: Final = 4 << 20  # keys that a map task holds at once: some 200 MB with what sorting needs
_REDUCE_ROWS: Final = 16 << 20  # rows of a partition that are sorted in memory; more are sorted by Spark, on disk

_KEYS: Final = pa.schema([("key", pa.int64()), ("doc_id", pa.int64()), ("band", pa.int32()), ("first", pa.int64())])
_EDGES: Final = pa.schema(
    [("doc_id", pa.int64()), ("first", pa.int64()), ("band", pa.int32()), ("thinned", pa.bool_())]
)
_KEYS_DDL: Final = "key long, doc_id long, band int, first long"
_EDGES_DDL: Final = "doc_id long, first long, band int, thinned boolean"


def deduplicate(
    sketches: DataFrame, *, num_bands: int, bands_per_pass: int, partitions: int, boundary: Boundary, ship: Shipping
) -> tuple[DataFrame, DataFrame]:
    """`duplicates` and `groups` (tables.DUPLICATES, tables.GROUPS) of sketches (doc_id, bands, sketch, text_hash)."""
    copies = boundary("copies", exact_copies(sketches))
    shipped = ship(copies.select("doc_id"))
    passes = [
        boundary(f"edges-{start}-{stop}", edges(sketches, shipped, start, stop, partitions))
        for start, stop in _passes(num_bands, bands_per_pass)
    ]
    all_edges = passes[0]
    for one in passes[1:]:
        all_edges = all_edges.unionAll(one)
    falls = boundary("falls", witnesses(all_edges, copies))
    ends = representatives(falls, boundary)
    duplicates = with_similarity(falls.join(ends, "doc_id"), sketches)
    return duplicates.select(*DUPLICATES.names), groups(sketches, falls, ends)


def _passes(num_bands: int, bands_per_pass: int) -> list[tuple[int, int]]:
    """(start, stop) of each pass. Both are in a pass's name: a run that goes on may cut the passes otherwise."""
    return [(start, min(start + bands_per_pass, num_bands)) for start in range(0, num_bands, bands_per_pass)]


def exact_copies(sketches: DataFrame) -> DataFrame:
    """(doc_id, first) for each page whose text_hash and sketch an earlier page has; `first` is the earliest.

    Copies share all buckets with their first, so leaving them out of the passes changes nothing but the cost.
    """
    keyed = sketches.select("doc_id", "text_hash", F.xxhash64("sketch").alias("sketch_hash"))
    same = ["text_hash", "sketch_hash"]
    firsts = keyed.groupBy(*same).agg(F.min("doc_id").alias("first"), F.count("*").alias("n")).where("n > 1")
    return keyed.join(firsts, same).where("doc_id > first").select("doc_id", "first")


def edges(sketches: DataFrame, copies: Lookups, start: int, stop: int, partitions: int) -> DataFrame:
    """Edges of bands start..stop-1, page -> first page of its bucket, for all pages that aren't the first.

    Where `thinned`, `first` is only the first of a chunk: the bucket's first is that of (first, band), in another row
    or itself.
    """
    keys = sketches.select("doc_id", F.slice("bands", start + 1, stop - start).alias("bands"))
    mapped = keys.mapInArrow(partial(_keys, copies=copies, start=start), _KEYS_DDL)
    # A thinned row has no business with its key's partition, which would be hot: it is spread by its page.
    exchanged = mapped.repartition(partitions, F.when(F.col("first").isNull(), F.col("key")).otherwise(F.col("doc_id")))
    return exchanged.mapInArrow(_reduce, _EDGES_DDL)


def _keys(batches: Iterator[pa.RecordBatch], copies: Lookups, start: int) -> Iterator[pa.RecordBatch]:
    held: list[tuple[NDArray[Any], ...]] = []
    rows = 0
    for batch in batches:
        doc_ids = batch.column("doc_id").to_numpy()
        fresh = ~copies.find(doc_ids)[0]
        lists = batch.column("bands").filter(pa.array(fresh))
        keys = lists.flatten().to_numpy()
        num_bands = len(keys) // max(1, len(lists))
        bands = np.tile(np.arange(start, start + num_bands, dtype=np.int32), len(lists))
        held.append((keys, np.repeat(doc_ids[fresh], num_bands), bands))
        rows += len(keys)
        if rows >= _CHUNK_ROWS:
            yield from _thin(held)
            held, rows = [], 0
    yield from _thin(held)


def _thin(held: list[tuple[NDArray[Any], ...]]) -> Iterator[pa.RecordBatch]:
    if not held:
        return
    keys, doc_ids, bands = (np.concatenate(part) for part in zip(*held, strict=True))
    order = np.lexsort((doc_ids, keys))
    keys, doc_ids, bands = keys[order], doc_ids[order], bands[order]
    starts, sizes = _runs(keys)
    run_of = np.repeat(np.arange(len(starts)), sizes)
    is_first = np.zeros(len(keys), np.bool_)
    is_first[starts] = True
    thinned = (sizes[run_of] >= _HOT) & ~is_first
    firsts = pa.array(doc_ids[starts][run_of], mask=~thinned)
    yield from _batches([keys, doc_ids, bands, firsts], _KEYS)


def _runs(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and sizes of the runs of equal values."""
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]]) if len(keys) else np.zeros(0, np.int64)
    return starts, np.diff(np.r_[starts, len(keys)])


def _batches(columns: list[Any], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    batch = pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=schema)
    for start in range(0, batch.num_rows, 1 << 16):
        yield batch.slice(start, 1 << 16)


def _reduce(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Rows of whole buckets to edges. What exceeds _REDUCE_ROWS waits on disk, split by key."""
    held: list[pa.RecordBatch] = []
    rows = 0
    with _Spill() as spill:
        for batch in batches:
            thinned = pc.is_valid(batch.column("first"))
            yield _edges(batch.filter(thinned), True)
            held.append(batch.filter(pc.invert(thinned)))
            rows += held[-1].num_rows
            if rows > _REDUCE_ROWS:
                spill.add(held)
                held, rows = [], 0
        if spill.used:
            spill.add(held)
            for part in spill.parts():
                yield from _firsts(part)
        else:
            yield from _firsts(pa.Table.from_batches(held, _KEYS))


def _firsts(rows: pa.Table) -> Iterator[pa.RecordBatch]:
    keys, doc_ids, bands = (rows.column(name).to_numpy() for name in ("key", "doc_id", "band"))
    order = np.lexsort((doc_ids, keys))
    keys, doc_ids, bands = keys[order], doc_ids[order], bands[order]
    starts, sizes = _runs(keys)
    falls = np.ones(len(keys), np.bool_)
    falls[starts] = False
    firsts = np.repeat(doc_ids[starts], sizes)[falls]
    yield from _batches([doc_ids[falls], firsts, bands[falls], np.zeros(len(firsts), np.bool_)], _EDGES)


def _edges(rows: pa.RecordBatch, thinned: bool) -> pa.RecordBatch:
    columns = [rows.column(name) for name in ("doc_id", "first", "band")]
    return pa.RecordBatch.from_arrays([*columns, pa.array(np.full(rows.num_rows, thinned))], schema=_EDGES)


class _Spill:
    """Rows on local disk, in parts by key: a bucket's rows are all in one part."""

    _PARTS: Final = 32

    def __init__(self) -> None:
        self._writers: list[pa.RecordBatchStreamWriter] = []

    @property
    def used(self) -> bool:
        return bool(self._writers)

    def __enter__(self) -> Self:
        self._directory = tempfile.TemporaryDirectory(prefix="swallow-spark-")
        return self

    def __exit__(self, *_: object) -> None:
        self._directory.cleanup()

    def _path(self, part: int) -> str:
        return f"{self._directory.name}/{part}.arrows"

    def add(self, batches: list[pa.RecordBatch]) -> None:
        if not self._writers:
            self._writers = [pa.ipc.new_stream(self._path(part), _KEYS) for part in range(self._PARTS)]
        for batch in batches:
            # Partitions were made by another hash of the key, and keys are hash values themselves: low bits will do.
            part_of = batch.column("key").to_numpy() % self._PARTS
            for part in np.unique(part_of):
                self._writers[part].write_batch(batch.filter(pa.array(part_of == part)))

    def parts(self) -> Iterator[pa.Table]:
        for part, writer in enumerate(self._writers):
            writer.close()
            with pa.OSFile(self._path(part)) as file:
                yield pa.ipc.open_stream(file).read_all()


def witnesses(edges: DataFrame, copies: DataFrame) -> DataFrame:
    """(doc_id, witness, band) for each page that falls: the first page that shares any of its buckets, and the lowest
    band in which it does."""
    sure = edges.where("not thinned").select("doc_id", "first", "band")
    onward = sure.select(F.col("doc_id").alias("first"), "band", F.col("first").alias("onward"))
    resolved = (
        edges.where("thinned")
        .join(onward, ["first", "band"], "left")
        .select("doc_id", F.coalesce("onward", "first").alias("first"), "band")
    )
    least = sure.unionAll(resolved).groupBy("doc_id").agg(F.min(F.struct("first", "band")).alias("least"))
    falls = least.select("doc_id", F.col("least.first").alias("witness"), F.col("least.band").alias("band"))
    of_first = falls.select(F.col("doc_id").alias("first"), "witness", "band")
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
    """Adds `similarity`, the estimate of the Jaccard similarity of page and witness by their sketches, and `policy`."""
    own = sketches.select("doc_id", F.col("sketch").alias("own"))
    other = sketches.select(F.col("doc_id").alias("witness"), F.col("sketch").alias("other"))
    pairs = duplicates.join(own, "doc_id").join(other, "witness")
    names = ["doc_id", "witness", "representative", "band"]
    ddl = "doc_id long, witness long, representative long, band int, similarity float"
    return pairs.select(*names, "own", "other").mapInArrow(_similarity, ddl).withColumn("policy", F.lit("bucket"))


def _similarity(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        own, other = (_bits(batch.column(name)) for name in ("own", "other"))
        *columns, _, _ = batch.columns
        similarity = pa.array(estimated_jaccard(own, other), pa.float32())
        yield pa.RecordBatch.from_arrays([*columns, similarity], [*batch.schema.names[:-2], "similarity"])


def _bits(sketches: pa.Array) -> NDArray[np.uint8]:
    """Packed sketches as (n, bytes)."""
    return np.frombuffer(b"".join(sketches.to_pylist()), np.uint8).reshape(len(sketches), -1)
