"""For each page the edge to the first page near it, in bounded memory.

`thin` runs in the map tasks, `reduce` after an exchange by page. (Spark's minimum of two columns sorts all edges.)
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from swallow_spark.kernels.minhash import exchange

CHUNK_ROWS: Final = 4 << 20  # edges in memory, besides one for each page of a partition: 300 MB while sorted

SCHEMA: Final = pa.schema([("doc_id", pa.int64()), ("first", pa.int64()), ("band", pa.int32())])
ROW: Final = np.dtype([("doc_id", "<i8"), ("first", "<i8"), ("band", "<i4")])


def thin(batches: Iterable[pa.RecordBatch], partitions: int) -> Iterator[pa.RecordBatch]:
    """Edges (SCHEMA), reduced to one for each page of a chunk, as exchange.PACKED by page."""
    rows = (_structured(batch) for batch in batches)
    for chunk in map(_least, exchange.chunks(rows, CHUNK_ROWS)):
        yield from exchange.pack(chunk, exchange.partition_of(chunk["doc_id"].copy(), partitions))


def reduce(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """For each page (of exchange.PACKED) the edge (SCHEMA) with the least `first`, then the lowest band; by doc_id."""
    held = np.zeros(0, ROW)
    for chunk in exchange.chunks(exchange.unpack(batches, ROW), CHUNK_ROWS):
        held = _least(np.concatenate([held, chunk]))
    yield from exchange.batches([held[name].copy() for name in SCHEMA.names], SCHEMA)


def _structured(batch: pa.RecordBatch) -> NDArray[Any]:
    rows = np.empty(batch.num_rows, ROW)
    for name in SCHEMA.names:
        rows[name] = batch.column(name).to_numpy()
    return rows


def _least(rows: NDArray[Any]) -> NDArray[Any]:
    order = np.argsort(rows["doc_id"])
    starts, _ = exchange.runs(rows["doc_id"][order])
    return exchange.take(rows, _places(rows, order, np.append(starts, len(rows))))


@njit(cache=True, nogil=True)
def _places(rows: Any, order: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """The place of the least row in each run of `order`."""
    found = np.empty(len(ends) - 1, np.int64)
    for run in range(len(found)):
        least = order[ends[run]]
        for place in order[ends[run] + 1 : ends[run + 1]]:
            first, other = rows[place].first, rows[least].first
            if first < other or (first == other and rows[place].band < rows[least].band):
                least = place
        found[run] = least
    return found
