"""Select: exact top-k% bands by score, and the subsets that they make.

A band is the documents of certain ranks, by score descending and doc_id ascending. The documents at the cuts are found
by narrowing a range of scores (then of doc_ids, among equal scores) with counts per bin: exact whatever the scores look
like, and the driver never holds more than _BINS rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark import TaskContext
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.pandas.types import from_arrow_schema

from swallow_spark.kernels import cleanup
from swallow_spark.lookups import Lookups
from swallow_spark.outputs import WRITTEN, Outputs
from swallow_spark.sections.select import Cleanup
from swallow_spark.tables import SUBSETS

_BINS: Final = 4096


class Cut(NamedTuple):
    """The last document above a cut, in the order of score descending, doc_id ascending."""

    documents: int
    score: float
    doc_id: int


def cut_after(scores: DataFrame, documents: int) -> Cut | None:
    """The cut behind the best `documents` of scores (doc_id, score); None where that is no document.

    Raises ValueError where there are fewer, or a score is not a finite number.
    """
    if documents == 0:
        return None
    finite = F.abs("score") < float("inf")  # false for NaN too, which Spark sorts above all numbers
    rows, good = scores.agg(F.count("*"), F.count_if(finite)).collect()[0]
    if good < rows:
        raise ValueError("a score is not a finite number")
    if rows < documents:
        raise ValueError(f"a cut after {documents} documents, but there are {rows}")
    descending, rank = _narrow(scores, -F.col("score"), documents)
    tied = scores.where(F.col("score") == -descending)
    doc_id, _ = _narrow(tied, F.col("doc_id"), rank)
    return Cut(documents, -descending + 0.0, doc_id)  # + 0.0: never a negative zero


def _narrow(rows: DataFrame, value: Column, rank: int) -> tuple[Any, int]:
    """The value of the row of a rank (from 1, ascending), and its rank among the rows of that value."""
    rows = rows.select(value.alias("value"))
    low, high = rows.agg(F.min("value"), F.max("value")).collect()[0]
    while low != high:
        # The lowest value has a bin of its own, so each round leaves less. Rounding does no harm: a greater value never
        # gets a smaller bin.
        width = (high - low) / _BINS or 1.0
        number = F.floor((F.col("value") - F.lit(low)) / F.lit(width))
        bin_of = F.when(F.col("value") == low, -1).otherwise(F.least(number, F.lit(_BINS)))
        counted = rows.where(F.col("value").between(low, high)).groupBy(bin_of.alias("bin"))
        bins = counted.agg(F.count("*").alias("n"), F.min("value").alias("low"), F.max("value").alias("high")).collect()
        for row in sorted(bins, key=lambda row: row.bin):
            if rank <= row.n:
                break
            rank -= row.n
        low, high = row.low, row.high
    return low, rank


def is_above(cut: Cut | None) -> Column:
    """Whether a row (doc_id, score) is above the cut."""
    if cut is None:
        return F.lit(False)
    score, doc_id = F.col("score"), F.col("doc_id")
    return (score > cut.score) | ((score == cut.score) & (doc_id <= cut.doc_id))


def num_above(share: Fraction, total: int) -> int:
    """ceil(share x total), in exact arithmetic: the documents above a cut."""
    return -(-share.numerator * total // share.denominator)


def subset_schema(classifiers: Sequence[str]) -> pa.Schema:
    fields = [pa.field(f"score_{classifier}", pa.float64(), nullable=False) for classifier in classifiers]
    return pa.schema([*SUBSETS, *fields])


def write_subsets(
    pages: DataFrame,
    members: Lookups,
    bits: Mapping[str, int],
    scores: Sequence[str],
    section: Cleanup,
    outputs: Outputs,
) -> DataFrame:
    """Writes the subsets' tables from pages, all in one scan, with texts cleaned up; a frame of what was written.

    Counted for each table: `chars` after clean-up, texts `trimmed`, and those `emptied`, which are left out.

    members: doc_id, `subsets` (bit `bits[table]` is set where the page belongs to that table) and the columns `scores`.
    """
    work = partial(
        _write_task, members=members, bits=dict(bits), scores=tuple(scores), section=section, outputs=outputs
    )
    return pages.select(*SUBSETS.names).mapInArrow(work, from_arrow_schema(WRITTEN))


def _write_task(
    batches: Iterator[pa.RecordBatch],
    members: Lookups,
    bits: dict[str, int],
    scores: tuple[str, ...],
    section: Cleanup,
    outputs: Outputs,
) -> Iterator[pa.RecordBatch]:
    context = TaskContext.get()
    with outputs.open(context.partitionId() if context else 0) as opened:
        for batch in batches:
            present, values = members.find(batch.column("doc_id").to_numpy())
            batch = batch.filter(pa.array(present))
            if not batch.num_rows:
                continue
            batch, trimmed = _cleaned(batch, section)
            with_scores = pa.RecordBatch.from_arrays(
                [*batch.columns, *(pa.array(values[name]) for name in scores)], [*batch.schema.names, *scores]
            )
            for table, bit in bits.items():
                here = values["subsets"] >> bit & 1 == 1
                if here.any():
                    num_chars = with_scores.column("num_chars").to_numpy()
                    sums = {
                        f"chars:{table}": int(num_chars[here].sum(dtype=np.int64)),
                        f"trimmed:{table}": int(trimmed[here].sum()),
                        f"emptied:{table}": int((num_chars[here] == 0).sum()),
                    }
                    opened.write(table, with_scores.filter(pa.array(here & (num_chars > 0))), sums)
        yield opened.written()


def _cleaned(batch: pa.RecordBatch, section: Cleanup) -> tuple[pa.RecordBatch, NDArray[np.bool_]]:
    """The batch with its texts cleaned up and their lengths, and which of them lost a footer."""
    if section.mode == "off":
        return batch, np.zeros(batch.num_rows, np.bool_)
    cleaned = cleanup.clean(batch.column("text"), section.mode)
    columns = {"text": cleaned.texts, "num_chars": pa.array(cleaned.num_chars)}
    arrays = [columns.get(name, batch.column(name)) for name in batch.schema.names]
    return pa.RecordBatch.from_arrays(arrays, batch.schema.names), cleaned.trimmed
