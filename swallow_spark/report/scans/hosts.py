"""The hosts with the most pages, and what other bounds on the length of sentences would reject: the one query of the
report that joins tables and shuffles rows, of four narrow columns."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark.report.scans.figures import MOST_TASKS, SCHEMA, Figures, collected

TOP_HOSTS: Final = 20
SENTENCE_BOUNDS: Final = ((20, 90), (20, 200))


def of_verdicts(features: DataFrame, verdicts: DataFrame) -> Figures:
    """`hosts`: of the accepted pages. `sentences`: see `SENTENCE_BOUNDS`. features: doc_id, host, num_chars,
    avg_sentence_length; of all pages."""
    others = F.filter("reasons", lambda reason: ~reason.startswith("avg_sentence_length:"))
    judged = verdicts.select("doc_id", F.col("accepted").alias("counted"), (F.size(others) == 0).alias("passes_others"))
    rows = features.join(judged, "doc_id")
    length, sums = F.col("avg_sentence_length"), []
    for number, (low, high) in enumerate(SENTENCE_BOUNDS):
        outside = (length < low) | (length > high)
        sums += [F.count_if(outside).alias(f"all{number}")]
        sums += [F.count_if(outside & F.col("passes_others")).alias(f"alone{number}")]
    return _by_host(rows, *sums)


def of_pages(pages: DataFrame, kept: DataFrame | None) -> Figures:
    """`hosts`: of the pages (doc_id, host, num_chars), or of those that are `kept` (doc_id)."""
    rows = pages.join(kept, "doc_id") if kept is not None else pages
    return _by_host(rows.withColumn("counted", F.lit(True)))


def _by_host(rows: DataFrame, *sums: Column) -> Figures:
    counted = F.col("counted")
    hosts = rows.groupBy("host").agg(
        F.count_if(counted).alias("documents"),
        F.sum(F.when(counted, F.col("num_chars").cast("long")).otherwise(0)).alias("characters"),
        *sums,
    )
    return collected(hosts.coalesce(MOST_TASKS).mapInArrow(_top, SCHEMA))


def _top(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    found = Figures()
    for batch in batches:
        documents, characters = (batch.column(name).to_numpy() for name in ("documents", "characters"))
        hosts = batch.column("host")
        # Of equal numbers the hosts are ordered by name, so all that may come first are looked at.
        least = np.partition(documents, -TOP_HOSTS)[-TOP_HOSTS] if len(documents) > TOP_HOSTS else 0
        for place in np.flatnonzero(documents >= max(1, least)).tolist():
            name = hosts[place].as_py()
            row = -documents[place].item(), name is not None, name or "", characters[place].item()
            found.keep("hosts", TOP_HOSTS, [row])
        for name in batch.schema.names[3:]:
            found.count(("sentences", name), batch.column(name).to_numpy().sum())
    yield found.row()
