"""Exact cuts of an order (score descending, doc_id ascending), and exact ranks in it, without sorting on the driver.

All cuts are found in the same passes: each counts documents per bin and narrows every cut's range, first of scores,
then of doc_ids of equal scores. Bins are ranges of integers that encode the scores (kernels/order/cuts.py), so the
result is exact for any scores; a pass narrows a range to 1/4,096 (bins are shared by the ranges).
"""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import partial, reduce
from math import gcd, lcm
from operator import add, or_
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from swallow_spark.kernels.order.cuts import EVERYTHING, Bin, Bins, Cut, Range, find, keys_of, num_cuts_above, score_of

_BINS: Final = ("range", "bin", "documents", "weight", "low", "high", "first", "last")  # columns, all of them long
_ROWS_PER_PART: Final = 2 << 20
_MOST_PARTS: Final = 64
_LARGEST_EXACT: Final = 1 << 53  # integers up to this are doubles


def num_above(share: Fraction, total: int) -> int:
    """ceil(share x total), in exact arithmetic: the documents (characters, tokens) above a cut."""
    return -(-share.numerator * total // share.denominator)


def totals(rows: DataFrame) -> tuple[int, int]:
    """The number of documents, and the sum of their weights (1 each without a column `weight`).

    Raises ValueError if a score is not a finite number, or a weight is missing or negative.
    """
    finite = F.abs("score") < float("inf")  # false for NaN too, which Spark sorts above all numbers
    weight = F.col("weight") if "weight" in rows.columns else F.lit(1)
    sums = (F.count("*"), F.count_if(finite), F.count_if(weight >= 0), F.coalesce(F.sum(weight), F.lit(0)))
    documents, good, weighed, total = rows.agg(*sums).collect()[0]
    if good < documents:
        raise ValueError("a score is not a finite number")
    if weighed < documents:
        raise ValueError("a weight is missing or negative")
    return documents, total


def cuts_after(rows: DataFrame, targets: Sequence[int]) -> list[Cut | None]:
    """The cuts after the shortest prefixes of rows (doc_id, score, optional weight) whose weights reach each target;
    None for a target of 0. Scores must be finite: `totals` checks.

    Raises ValueError if all weights together don't reach a target.
    """
    return find(partial(_count, rows), targets)


def _count(rows: DataFrame, ranges: list[Range], bins: int) -> list[list[Bin]]:
    schema = ", ".join(f"{name} long" for name in _BINS)
    if ranges != [EVERYTHING]:
        rows = rows.where(reduce(or_, map(_within, ranges)))  # keeps most rows out of Python
    counted = rows.mapInArrow(partial(_count_task, ranges=ranges, bins=bins), schema).groupBy("range", "bin")
    sums = [F.sum(name).alias(name) for name in ("documents", "weight")]
    lowest = [F.min(name).alias(name) for name in ("low", "first")]
    highest = [F.max(name).alias(name) for name in ("high", "last")]
    of: list[list[Bin]] = [[] for _ in ranges]
    for row in counted.agg(*sums, *lowest, *highest).collect():
        tightest = Range(row.low, row.high, row.first, row.last)
        of[row.range].append(Bin(row.bin, row.documents, row.weight, tightest))
    return [sorted(of_range) for of_range in of]


def _within(range_: Range) -> Column:
    """Whether a document is in a range, whose bounds are documents."""
    best, worst = score_of(range_.low), score_of(range_.high)
    if worst == 0:
        worst = -0.0  # equal to 0.0, but Parquet's filters would skip files that hold only the negative one
    there = (F.col("score") <= best) & (F.col("score") >= worst)
    return there & F.col("doc_id").between(range_.first, range_.last) if range_.is_one_key else there


def _count_task(batches: Iterator[pa.RecordBatch], ranges: list[Range], bins: int) -> Iterator[pa.RecordBatch]:
    counts = Bins(ranges, bins)
    for batch in batches:
        doc_ids = batch.column("doc_id").to_numpy()
        weighed = "weight" in batch.schema.names
        weights = batch.column("weight").to_numpy() if weighed else np.ones(len(doc_ids), np.int64)
        counts.add(_keys(batch), doc_ids, weights)
    yield pa.RecordBatch.from_arrays([pa.array(column) for column in counts.columns()], list(_BINS))


def _keys(batch: pa.RecordBatch) -> NDArray[np.int64]:
    return keys_of(np.ascontiguousarray(batch.column("score").to_numpy()))


def is_above(cut: Cut | None, score: Column, doc_id: Column) -> Column:
    """Whether a document lies above the cut."""
    if cut is None:
        return F.lit(False)
    if cut.doc_id is None:
        return score >= cut.score
    return (score > cut.score) | ((score == cut.score) & (doc_id <= cut.doc_id))


def ranks(scores: DataFrame) -> DataFrame:
    """(doc_id, rank long): one more than the number of documents with a higher score.

    Exact cuts divide the order into parts, each sorted by itself: no part is large, however many scores are equal.
    """
    documents, _ = totals(scores)
    parts = min(_MOST_PARTS, max(1, documents // _ROWS_PER_PART))
    cuts = [cut for cut in cuts_after(scores, [documents * i // parts for i in range(1, parts)]) if cut]
    placed = scores.mapInArrow(partial(_place_task, cuts=cuts), "doc_id long, key long, part long")
    ordered = placed.repartition(parts, "part").sortWithinPartitions("part", "key")
    return ordered.mapInArrow(partial(_rank_task, cuts=cuts), "doc_id long, rank long")


def _place_task(batches: Iterator[pa.RecordBatch], cuts: list[Cut]) -> Iterator[pa.RecordBatch]:
    cut_keys = keys_of(np.array([cut.score for cut in cuts], np.float64))
    cut_doc_ids = np.array([cut.doc_id for cut in cuts], np.int64)
    for batch in batches:
        keys, doc_ids = _keys(batch), batch.column("doc_id").to_numpy()
        parts = num_cuts_above(keys, doc_ids, cut_keys, cut_doc_ids)
        columns = [pa.array(column) for column in (doc_ids, keys, parts)]
        yield pa.RecordBatch.from_arrays(columns, ["doc_id", "key", "part"])


def _rank_task(batches: Iterator[pa.RecordBatch], cuts: list[Cut]) -> Iterator[pa.RecordBatch]:
    documents_before = np.array([0, *(cut.documents for cut in cuts)], np.int64)
    better = np.array([0, *(cut.better for cut in cuts)], np.int64)
    cut_keys = np.append(np.int64(0), keys_of(np.array([cut.score for cut in cuts], np.float64)))
    row, first_of_part, first_of_key = 0, 0, 0  # row numbers: the next one, and the first of its part and key
    last: tuple[int, int] | None = None
    for batch in batches:
        if not batch.num_rows:
            continue
        keys, parts = batch.column("key").to_numpy(), batch.column("part").to_numpy()
        rows = np.arange(row, row + len(keys))
        new_part, new_key = np.ones(len(keys), np.bool_), np.ones(len(keys), np.bool_)
        new_part[1:] = parts[1:] != parts[:-1]
        new_key[1:] = new_part[1:] | (keys[1:] != keys[:-1])
        if last:
            new_part[0], new_key[0] = parts[0] != last[0], (parts[0], keys[0]) != last
        part_starts = np.maximum.accumulate(np.where(new_part, rows, first_of_part))
        key_starts = np.maximum.accumulate(np.where(new_key, rows, first_of_key))
        rank = documents_before[parts] + key_starts - part_starts
        goes_on = (parts > 0) & (keys == cut_keys[parts])  # a score that continues from the part before
        rank[goes_on] = better[parts[goes_on]]
        row, first_of_part, first_of_key = row + len(keys), int(part_starts[-1]), int(key_starts[-1])
        last = int(parts[-1]), int(keys[-1])
        yield pa.RecordBatch.from_arrays([batch.column("doc_id"), pa.array(rank + 1)], ["doc_id", "rank"])


def combined(ranked: Mapping[str, DataFrame], weights: Mapping[str, Fraction], documents: int) -> DataFrame:
    """(doc_id, score): minus the sum of weight x rank, with whole weights; of frames (doc_id, rank).

    Raises ValueError if such sums may not be exact as doubles.
    """
    whole = whole_weights(weights)
    if sum(whole.values()) * documents > _LARGEST_EXACT:
        raise ValueError(f"weights {dict(whole)} are too fine for {documents} documents: use rounder ones")
    frames = [ranked[name].select("doc_id", (F.col("rank") * weight).alias(name)) for name, weight in whole.items()]
    joined = reduce(lambda a, b: a.join(b, "doc_id"), frames)
    total = reduce(add, map(F.col, whole))
    return joined.select("doc_id", (-total).cast("double").alias("score"))


def whole_weights(weights: Mapping[str, Fraction]) -> dict[str, int]:
    """The smallest whole numbers in the same proportions."""
    scale = lcm(*(weight.denominator for weight in weights.values()))
    whole = {name: int(weight * scale) for name, weight in weights.items()}
    divisor = gcd(*whole.values())
    return {name: weight // divisor for name, weight in whole.items()}
