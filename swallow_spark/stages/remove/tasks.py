"""Remove: the pages under a removal request, and their near-duplicates."""

from collections.abc import Iterator
from functools import partial
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark.corpus.read import Scan
from swallow_spark.corpus.write import Outputs, Rows, write_tables
from swallow_spark.stages.remove.shipped import Shipped
from swallow_spark.tables import PAGES, REMOVED_DUPLICATES

NAMED: Final = pa.schema([PAGES.field(name) for name in ("doc_id", "host", "url")])
_MULTIPLIER: Final = 0x9E3779B1  # 2**32 by the golden ratio


def find_removed(pages: DataFrame | Scan, tombstones: Shipped, outputs: Outputs) -> DataFrame:
    """Writes `removed` of pages (doc_id, host, url); a frame of what was written.

    Sums: `removed`, their number, and `mixed`, which differs between sets of the same size.
    """
    return write_tables(pages, NAMED.names, partial(_find, tombstones=tombstones), outputs)


def _find(batches: Iterator[pa.RecordBatch], tombstones: Shipped) -> Iterator[Rows]:
    found = tombstones.open()
    for batch in batches:
        doc_ids, hosts, urls = batch.columns
        mask = found.removed(hosts.to_pylist(), urls.to_pylist())
        if mask.any():
            removed = doc_ids.filter(pa.array(mask))
            sums = {"removed": len(removed), "mixed": _mixed(removed.to_numpy())}
            yield Rows("removed", pa.RecordBatch.from_arrays([removed], ["doc_id"]), sums)


def _mixed(doc_ids: NDArray[np.int64]) -> int:
    halves = (doc_ids ^ doc_ids >> 32) & 0xFFFFFFFF
    return int((halves * _MULTIPLIER & 0xFFFFFFFF).sum())


def duplicates_of_removed(removed: DataFrame, duplicates: DataFrame, pages: DataFrame) -> DataFrame:
    """REMOVED_DUPLICATES: the pages that dedup matched with removed ones, and that aren't removed themselves.

    removed: doc_id. duplicates: tables.DUPLICATES. pages: doc_id, url. Relation `fell_for_it`: pages whose witness or
    representative is removed; `it_fell_for`: the witness and the representative of a removed page.
    """
    pairs = duplicates.select(
        "doc_id", "similarity", F.explode(F.array_distinct(F.array("witness", "representative"))).alias("kept")
    )
    gone = removed.select(F.col("doc_id").alias("removed"))
    fell = pairs.join(gone, F.col("kept") == F.col("removed")).select(
        "removed", F.lit("fell_for_it").alias("relation"), "doc_id", "similarity"
    )
    stayed = pairs.join(gone, F.col("doc_id") == F.col("removed")).select(
        "removed", F.lit("it_fell_for").alias("relation"), F.col("kept").alias("doc_id"), "similarity"
    )
    found = fell.union(stayed).distinct().join(removed, "doc_id", "left_anti")
    urls = pages.select("doc_id", "url")
    removed_urls = urls.select(F.col("doc_id").alias("removed"), F.col("url").alias("removed_url"))
    named = found.join(urls, "doc_id").join(removed_urls, "removed")
    return named.select(*REMOVED_DUPLICATES.names).orderBy("removed", "doc_id", "relation")
