"""Lines that repeat across the accepted pages of a host: counted in one scan of the text, which passes on only keys."""

from collections.abc import Iterator
from functools import partial
from typing import Final

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark.corpus.lookups import Lookups
from swallow_spark.corpus.read import Scan
from swallow_spark.corpus.write import Outputs, Rows, write_tables
from swallow_spark.kernels.text import host_lines as kernel

_ROWS_AT_ONCE: Final = 4_000_000  # a task adds up this many before it writes: 80 MB, and twice that while it sorts


def count_lines(pages: DataFrame | Scan, accepted: Lookups, outputs: Outputs) -> DataFrame:
    """Writes `host_lines` and `host_pages` of the accepted pages (doc_id, host, text); a frame of what was written. A
    line or host may have several rows, to be added up. The sum `lines` is that of `num_pages` over host_lines."""
    work = partial(_count, accepted=accepted)
    return write_tables(pages, ("doc_id", "host", "text"), work, outputs)


def _count(batches: Iterator[pa.RecordBatch], accepted: Lookups) -> Iterator[Rows]:
    held: list[kernel.Counts] = []
    rows = 0
    for batch in batches:
        batch = accepted.among(batch)
        hosts = kernel.host_keys(batch.column("host"))
        held.append(kernel.count(batch.column("text"), hosts))
        rows += len(held[-1].host)
        known, num_pages = np.unique(hosts[hosts >= 0], return_counts=True)
        if len(known):
            columns = [pa.array(known), pa.array(num_pages, pa.int64())]
            yield Rows("host_pages", pa.RecordBatch.from_arrays(columns, ["host", "num_pages"]))
        if rows >= _ROWS_AT_ONCE:
            yield from _combined(held)
            held, rows = [], 0
    yield from _combined(held)


def _combined(held: list[kernel.Counts]) -> Iterator[Rows]:
    if any(len(counts.host) for counts in held):
        counts = kernel.combine(*map(np.concatenate, zip(*held, strict=True)))
        rows = pa.RecordBatch.from_arrays([pa.array(column) for column in counts], counts._fields)
        yield Rows("host_lines", rows, {"lines": int(counts.num_pages.sum(dtype=np.int64))})


def repeated(lines: DataFrame, pages: DataFrame, min_pages: int, min_fraction: float) -> DataFrame:
    """(doc_id, host) of the lines on at least `min_pages` of a host's pages, and at least that share of them. `doc_id`
    is the line's key: lookups call what they are sorted by so.

    lines, pages: rows of host_lines and host_pages.
    """
    counted = lines.groupBy("host", "line").agg(F.sum("num_pages").alias("num_pages"))
    of_host = pages.groupBy("host").agg(F.sum("num_pages").alias("all_pages"))
    often = counted.where(F.col("num_pages") >= min_pages).join(of_host.where(F.col("all_pages") >= min_pages), "host")
    # The division rounds to the nearest double, as parsing the bound did: 3 of 10 pages reach 0.3.
    dropped = often.where(F.col("num_pages") / F.col("all_pages") >= min_fraction)
    # A lookup takes each key once, though two hosts' lines hardly ever have the same.
    return dropped.groupBy(F.col("line").alias("doc_id")).agg(F.min("host").alias("host"))
