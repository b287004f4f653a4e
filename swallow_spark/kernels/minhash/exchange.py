"""Exchanges of few large rows instead of many small ones: Spark's costs are per row."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

PACKED_BYTES: Final = 1 << 20  # the most in a row of PACKED
_BATCH_BYTES: Final = 8 << 20

PACKED: Final = pa.schema([("partition", pa.int32()), ("rows", pa.binary())])
"""Rows for one partition, packed into one row for repartitionById."""


def pack(rows: NDArray[Any], partition_of: NDArray[np.uint32]) -> Iterator[pa.RecordBatch]:
    """Rows of a structured type as PACKED."""
    if (partition_of[1:] < partition_of[:-1]).any():
        order = np.argsort(partition_of, kind="stable")
        partition_of, rows = partition_of[order], take(rows, order)
    cuts = np.arange(0, len(rows), PACKED_BYTES // rows.itemsize)
    starts = np.union1d(runs(partition_of)[0], cuts)
    offsets = (np.append(starts, len(rows)) * rows.itemsize).astype(np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(rows.view(np.uint8))]
    packed = pa.RecordBatch.from_arrays(
        [
            pa.array(partition_of[starts].astype(np.int32)),
            pa.BinaryArray.from_buffers(pa.binary(), len(starts), buffers),
        ],
        schema=PACKED,
    )
    ends = np.searchsorted(offsets, np.arange(_BATCH_BYTES, offsets[-1] + _BATCH_BYTES, _BATCH_BYTES))
    for start, end in pairwise([0, *ends.tolist()]):
        yield packed.slice(start, end - start)


def unpack(batches: Iterable[pa.RecordBatch], dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    """The rows in the column `rows` of PACKED, as views of Arrow's buffers."""
    for batch in batches:
        if batch.num_rows:
            packed = batch.column("rows")
            _, offsets, data = packed.buffers()
            ends = np.frombuffer(offsets, np.int32)[[packed.offset, packed.offset + len(packed)]]
            yield np.frombuffer(data, np.uint8)[slice(*ends)].view(dtype)


def chunks(parts: Iterable[NDArray[Any]], rows: int) -> Iterator[NDArray[Any]]:
    """The rows of all parts, at least `rows` at a time."""
    held: list[NDArray[Any]] = []
    count = 0
    for part in parts:
        held.append(part)
        count += len(part)
        if count >= rows:
            yield np.concatenate(held)
            held, count = [], 0
    if count:
        yield np.concatenate(held)


@njit(cache=True, nogil=True)
def take(rows: NDArray[Any], places: NDArray[Any]) -> NDArray[Any]:
    """rows[places], several times as fast as NumPy for structured types."""
    taken = np.empty(len(places), rows.dtype)
    for i in range(len(places)):
        taken[i] = rows[places[i]]
    return taken


def partition_of(values: NDArray[np.int64], partitions: int) -> NDArray[np.uint32]:
    """The partition of each value, by Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4)."""
    return partition_of_hash((values.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)).view(np.int64), partitions)


def partition_of_hash(hashes: NDArray[np.int64], partitions: int) -> NDArray[np.uint32]:
    """The partition of each hash by its high bits, ascending with the hashes as unsigned numbers."""
    high = hashes.view(np.uint64) >> np.uint64(32)
    return (high * np.uint64(partitions) >> np.uint64(32)).astype(np.uint32)


def runs(values: NDArray[np.int64] | NDArray[np.uint32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and sizes of the runs of equal values."""
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]]) if len(values) else np.zeros(0, np.int64)
    return starts, np.diff(np.r_[starts, len(values)])


def batches(columns: list[Any], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Columns as batches of at most 65,536 rows."""
    batch = pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=schema)
    for start in range(0, batch.num_rows, 1 << 16):
        yield batch.slice(start, 1 << 16)
