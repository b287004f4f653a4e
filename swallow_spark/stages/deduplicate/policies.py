"""The policies: which pages are dropped, each with its witness, as (doc_id, first, band); and the number of rounds."""

import itertools
from collections.abc import Iterator
from functools import partial, reduce
from typing import Final

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark.corpus.write import Kernel
from swallow_spark.kernels.minhash import greedy as kernel
from swallow_spark.stages.deduplicate.work import Work, pairs_of

_FALLEN: Final = pa.schema([("doc_id", pa.int64())])


def bucket(work: Work) -> tuple[DataFrame, int]:
    """A page is dropped if any page before it is near, kept or not."""
    if work.settings.min_similarity is None:
        return work.reduced(work.nearest), 1
    return work.nearest("nearest", work.alike(work.reduced(work.pairs))), 1


def greedy(work: Work) -> tuple[DataFrame, int]:
    """Each round keeps the pages that have no undecided page before them in any of their buckets, and drops the pages
    near to those. The members of buckets whose first is undecided go on to the next round; once they are few, one task
    decides them all, page by page. So chains of near-duplicates, which take a round for every two links, end soon.

    The witness is the first kept page that the page is near to, in whichever round it was kept.
    """
    edges = work.boundary("round-1", work.edges())
    blocked = work.boundary("blocked-1", edges.select("doc_id").distinct())
    near = work.boundary("near-1", work.alike(pairs_of(_of_kept(edges, blocked))))
    members = work.boundary("members", _members(edges, blocked))
    falls = [near.select("doc_id").distinct()]
    rows = work.boundary("rows-1", members.join(falls[0], "doc_id", "left_anti"))
    signed = work.boundary("signed", work.signed(members)) if work.settings.min_similarity is not None else None
    number = 1
    while count := rows.count():
        number += 1
        if count <= kernel.MAX_ROWS:
            falls.append(_decided(work, f"fallen-{number}", rows, count, signed))
            break
        edges = work.boundary(f"round-{number}", work.edges_of(rows, count, f"edges-{number}"))
        blocked = work.boundary(f"blocked-{number}", edges.select("doc_id").distinct())
        fallen = work.alike(pairs_of(_of_kept(edges, blocked)), signed).select("doc_id").distinct()
        falls.append(work.boundary(f"fallen-{number}", fallen))
        rows = work.boundary(f"rows-{number}", _members(edges, blocked).join(falls[-1], "doc_id", "left_anti"))
    fallen = work.boundary("fallen", reduce(DataFrame.unionAll, falls))
    leaders = members.join(fallen, "doc_id", "left_anti").groupBy("key").agg(F.min("doc_id").alias("first"))
    late = members.join(fallen, "doc_id", "left_semi").join(leaders, "key").where("first < doc_id")
    return work.nearest("nearest", near.unionAll(work.alike(pairs_of(late), signed))), number


def _of_kept(edges: DataFrame, blocked: DataFrame) -> DataFrame:
    """The edges whose `first` has no undecided page before it."""
    return edges.join(blocked.withColumnRenamed("doc_id", "first"), "first", "left_anti")


def _members(edges: DataFrame, blocked: DataFrame) -> DataFrame:
    """(key, doc_id, band): the members of the buckets whose first is undecided."""
    undecided = edges.join(blocked.withColumnRenamed("doc_id", "first"), "first", "left_semi")
    firsts = undecided.select("key", F.col("first").alias("doc_id"), "band").distinct()
    return undecided.select("key", "doc_id", "band").unionAll(firsts)


def _decided(work: Work, name: str, rows: DataFrame, count: int, signed: DataFrame | None) -> DataFrame:
    """(doc_id,) of the pages that are dropped, of few rows (key, doc_id, band): by one task, from a row a page."""
    pages = rows.groupBy("doc_id").agg(F.collect_list("key").alias("keys"))  # one for each band at most
    if signed is not None:
        pages = pages.join(signed, "doc_id")
    decide = partial(_decide, num_keys=count, min_similarity=work.settings.min_similarity)
    return work.boundary(name, pages.repartition(1).sortWithinPartitions("doc_id"), by=Kernel(decide, _FALLEN))


def _decide(pages: Iterator[pa.RecordBatch], num_keys: int, min_similarity: float | None) -> Iterator[pa.RecordBatch]:
    fallen = kernel.falls(pages, num_keys, min_similarity)
    yield pa.RecordBatch.from_arrays([pa.array(fallen)], schema=_FALLEN)


def components(work: Work) -> tuple[DataFrame, int]:
    """Connected components by alternating large-star and small-star steps (Kiveris et al., Connected Components in
    MapReduce and Beyond, SoCC 2014). The witness is the component's first page; the band is -1 if the page shares no
    bucket with an earlier page."""
    pairs = work.reduced(work.pairs)
    if work.settings.min_similarity is not None:
        pairs = work.boundary("pairs", work.alike(pairs))
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
    return stars.select(F.col("u").alias("doc_id"), F.col("v").alias("first"), band), number


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
