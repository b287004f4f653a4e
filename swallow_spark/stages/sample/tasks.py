"""Sample: pages of a corpus by a hash of their doc_id, and their texts.

The same corpus, number and seed give the same pages, whatever the partitions. Pages are taken in one fixed order, so a
larger sample contains the smaller ones of its kind.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark.corpus.lookups import Lookups
from swallow_spark.corpus.read import Scan
from swallow_spark.corpus.write import Outputs, Rows, write_tables
from swallow_spark.tables import TEXTS

TABLE = "sample"
COLUMNS = TEXTS.append(pa.field("stratum", pa.string()))  # null but in samples by score


def choose(rows: DataFrame, number: int, seed: int, group: Column | None = None) -> DataFrame:
    """The doc_ids of `number` rows (or all, if there are fewer): those with the lowest hash.

    With a `group`, which is then a column of the result, the groups take turns: each gives one row before any gives its
    second.
    """
    order = [F.xxhash64(F.col("doc_id"), F.lit(seed)), F.col("doc_id")]
    if group is None:
        return rows.select("doc_id").orderBy(*order).limit(number)
    turn = F.row_number().over(Window.partitionBy("group").orderBy(*order))
    turns = rows.select("doc_id", group.alias("group")).select("doc_id", "group", turn.alias("turn"))
    # No group gives more than the whole sample: Spark stops ranking it there.
    return turns.where(F.col("turn") <= number).orderBy("turn", *order).limit(number).select("doc_id", "group")


def stratum(score: Column, strata: int, low: float, high: float) -> Column:
    """The number, from 0, of a score's stratum: `strata` equal ranges of low to high."""
    share = (score - F.lit(low)) / F.lit(high - low)
    return F.greatest(F.lit(0), F.least(F.lit(strata - 1), F.floor(share * strata)))


def stratum_names(strata: int, low: float, high: float) -> list[str]:
    """The names of the strata, as in "0.3 to 0.6"."""
    bounds = [low + (high - low) * number / strata for number in range(strata + 1)]
    return [f"{below:.6g} to {above:.6g}" for below, above in pairwise(bounds)]


def write_texts(
    pages: DataFrame | Scan, chosen: Lookups, strata: Sequence[str], crawls: Mapping[int, str], outputs: Outputs
) -> DataFrame:
    """Writes the texts (COLUMNS) of the chosen pages (doc_id, url, text); a frame of what was written. `source` is
    crawl and URL; `stratum` the name in `strata` whose number is the column `group` of `chosen`."""
    work = partial(_chosen, chosen=chosen, strata=list(strata), crawls=dict(crawls))
    return write_tables(pages, ("doc_id", "url", "text"), work, outputs)


def _chosen(
    batches: Iterator[pa.RecordBatch], chosen: Lookups, strata: list[str], crawls: dict[int, str]
) -> Iterator[Rows]:
    for batch in batches:
        present, values = chosen.find(batch.column("doc_id").to_numpy())
        batch = batch.filter(pa.array(present))
        if batch.num_rows:
            names = [strata[number] for number in values["group"]] if values else [None] * batch.num_rows
            yield Rows(TABLE, _with_source(batch, names, crawls))


def _with_source(batch: pa.RecordBatch, strata: Sequence[str | None], crawls: dict[int, str]) -> pa.RecordBatch:
    numbers = (batch.column("doc_id").to_numpy() >> 53).astype(np.int64)
    urls = batch.column("url").to_pylist()
    sources = [f"{crawls[n]}: {url}" if url else crawls[n] for n, url in zip(numbers.tolist(), urls, strict=True)]
    licences = pa.nulls(batch.num_rows, pa.string())
    columns = [batch.column("doc_id"), batch.column("url"), batch.column("text"), pa.array(sources), licences]
    return pa.RecordBatch.from_arrays([*columns, pa.array(strata, pa.string())], COLUMNS.names)
