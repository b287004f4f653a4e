"""Buckets: from band keys to edges, each page to the first page of its bucket, in bounded memory.

`thin` runs in the map tasks, `reduce` after an exchange by key. A bucket of n pages costs n rows; no pairs of pages are
formed. From a hot bucket only the first page of each chunk is exchanged by key.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from swallow_spark.kernels.minhash import exchange

# A key with at least this many rows in a chunk is thinned to its first page there. For rarer keys the join that
# resolves thinned rows costs more than it saves.
HOT: Final = 16
CHUNK_ROWS: Final = 4 << 20  # rows in memory in a map task: 500 MB including sorting and packing
REDUCE_ROWS: Final = 16 << 20  # rows of a partition sorted in memory; more are spilled to disk

ROW: Final = np.dtype([("key", "<i8"), ("doc_id", "<i8"), ("first", "<i8"), ("band", "<i4")])
"""A page in a bucket; `first` is the first page of the chunk in thinned buckets, NONE in others."""
NONE: Final = np.iinfo(np.int64).min

EDGES: Final = pa.schema(
    [
        ("doc_id", pa.int64()),
        ("first", pa.int64()),
        ("band", pa.int32()),
        ("key", pa.int64()),
        ("thinned", pa.bool_()),
        ("leads", pa.bool_()),
    ]
)
"""A page and the first page of its bucket. If `thinned`, `first` is only the first of a chunk: the bucket's first page
is in another row, one that `leads`, with this `first` as its page and the same band, or it is `first` itself."""

Rows = NDArray[Any]  # of ROW
_KEY_BITS: Final = 64
_DIGIT_BITS: Final = 11  # 2,048 places to write to
_SMALL: Final = 32  # runs up to this size are sorted by insertion


def members(keys: NDArray[np.int64], doc_ids: NDArray[np.int64], bands: NDArray[np.int32]) -> Rows:
    """Rows (ROW) from arrays that broadcast to the shape of `keys`."""
    rows = np.empty(keys.shape, ROW)
    rows["key"], rows["doc_id"], rows["first"], rows["band"] = keys, doc_ids, NONE, bands
    return rows.ravel()


PART_BITS: Final = 5  # of keys, that name the part of a spill


class Spill(Protocol):
    """Rows that do not fit in memory, in parts by the low bits of their keys: no bucket is in two parts."""

    used: bool

    def add(self, held: list[Rows]) -> None: ...

    def parts(self) -> Iterator[Rows]: ...


def explode(doc_ids: NDArray[np.int64], bands: pa.Array, start: int, stop: int) -> Rows:
    """The rows of pages for the bands `start` to `stop`, from their lists of band keys (all of one length)."""
    keys = bands.flatten().to_numpy().reshape(len(bands), -1)[:, start:stop]
    return members(keys, doc_ids[:, None], np.arange(start, stop, dtype=np.int32))


def thin(parts: Iterable[Rows], partitions: int) -> Iterator[pa.RecordBatch]:
    """Rows as exchange.PACKED, partitioned by key for `reduce`; thinned rows by page, as hot keys have too many."""
    for chunk in exchange.chunks(parts, CHUNK_ROWS):
        # Keys are partitioned by their high bits, so sorted rows are in the order of partitions.
        rows = exchange.take(chunk, _order(chunk, _KEY_BITS - 2 * _DIGIT_BITS))
        _name_firsts(rows, HOT)
        thinned = _thinned(rows)
        plain = exchange.take(rows, np.flatnonzero(~thinned))
        yield from exchange.pack(plain, exchange.partition_of_hash(plain["key"].copy(), partitions))
        late = exchange.take(rows, np.flatnonzero(thinned))
        yield from exchange.pack(late, exchange.partition_of(late["doc_id"].copy(), partitions))


def reduce(
    batches: Iterable[pa.RecordBatch], spilling: Callable[[], AbstractContextManager["Spill"]]
) -> Iterator[pa.RecordBatch]:
    """Edges (EDGES) of complete buckets (exchange.PACKED), for all pages but the first of each, and thinned rows.

    spilling: where rows wait that are more than REDUCE_ROWS."""
    held: list[Rows] = []
    count = 0
    with spilling() as spill:
        for rows in exchange.unpack(batches, ROW):
            thinned = _thinned(rows)
            if thinned.any():
                yield _passed(exchange.take(rows, np.flatnonzero(thinned)))
                rows = exchange.take(rows, np.flatnonzero(~thinned))
            held.append(rows)
            count += len(rows)
            if count > REDUCE_ROWS:
                spill.add(held)
                held, count = [], 0
        if spill.used:
            spill.add(held)
            for part in spill.parts():
                yield from _firsts(part)
        elif held:
            rows = np.concatenate(held)
            held.clear()  # views that keep Arrow's buffers alive
            yield from _firsts(rows)


def _thinned(rows: Rows) -> NDArray[np.bool_]:
    first = rows["first"]
    return np.asarray((first != NONE) & (first != rows["doc_id"]))


def _passed(rows: Rows) -> pa.RecordBatch:
    columns = [pa.array(rows[name].copy()) for name in ("doc_id", "first", "band", "key")]
    thinned, leads = (pa.repeat(value, len(rows)) for value in (True, False))
    return pa.RecordBatch.from_arrays([*columns, thinned, leads], schema=EDGES)


def _firsts(rows: Rows) -> Iterator[pa.RecordBatch]:
    # By bits not used otherwise: the highest choose the partition, the lowest the spill's part.
    order = _order(rows, PART_BITS)
    later, firsts = _later(rows, order)
    rows = exchange.take(rows, later)
    columns = [rows["doc_id"].copy(), firsts, rows["band"].copy(), rows["key"].copy()]
    leads = rows["first"] != NONE
    yield from exchange.batches([*columns, np.zeros(len(rows), np.bool_), leads], EDGES)


@njit(cache=True, nogil=True)
def _order(rows: Rows, shift: int) -> NDArray[np.int32]:
    """The places of rows, bucket by bucket, and by doc_id within a bucket. Keys are hashes, so two passes of a radix
    sort by the 22 bits above `shift`, which order the buckets, leave almost nothing to sort."""
    n = len(rows)
    size = 1 << _DIGIT_BITS
    low, high = np.zeros(size + 1, np.int64), np.zeros(size + 1, np.int64)
    for i in range(n):
        code = np.uint64(rows[i].key) >> np.uint64(shift)
        low[np.int64(code & np.uint64(size - 1)) + 1] += 1
        high[np.int64((code >> np.uint64(_DIGIT_BITS)) & np.uint64(size - 1)) + 1] += 1
    low, high = np.cumsum(low), np.cumsum(high)
    by_low, places_by_low = np.empty(n, np.int64), np.empty(n, np.int32)
    for i in range(n):
        digit = np.int64((np.uint64(rows[i].key) >> np.uint64(shift)) & np.uint64(size - 1))
        by_low[low[digit]], places_by_low[low[digit]] = rows[i].key, i
        low[digit] += 1
    keys, places = np.empty(n, np.int64), np.empty(n, np.int32)
    for i in range(n):
        digit = np.int64((np.uint64(by_low[i]) >> np.uint64(shift + _DIGIT_BITS)) & np.uint64(size - 1))
        keys[high[digit]], places[high[digit]] = by_low[i], places_by_low[i]
        high[digit] += 1
    mask = np.uint64((1 << 2 * _DIGIT_BITS) - 1)
    start = 0
    for end in range(1, n + 1):
        if end == n or ((np.uint64(keys[end]) ^ np.uint64(keys[start])) >> np.uint64(shift)) & mask:
            if end - start > _SMALL:
                _sort(rows, keys[start:end], places[start:end])
            elif end - start > 1:
                _insert(rows, keys[start:end], places[start:end])
            start = end
    return places


@njit(cache=True, nogil=True)
def _insert(rows: Rows, keys: NDArray[np.int64], places: NDArray[np.int32]) -> None:
    for i in range(1, len(keys)):
        key, place, doc_id = keys[i], places[i], rows[places[i]].doc_id
        j = i
        while j and (keys[j - 1] > key or (keys[j - 1] == key and rows[places[j - 1]].doc_id > doc_id)):
            keys[j], places[j] = keys[j - 1], places[j - 1]
            j -= 1
        keys[j], places[j] = key, place


@njit(cache=True, nogil=True)
def _sort(rows: Rows, keys: NDArray[np.int64], places: NDArray[np.int32]) -> None:
    """Sorts a long run, usually the rows of a hot bucket, which are already in order."""
    doc_ids = np.array([rows[place].doc_id for place in places])
    for i in range(1, len(keys)):
        if keys[i - 1] > keys[i] or (keys[i - 1] == keys[i] and doc_ids[i - 1] > doc_ids[i]):
            by_doc_id = np.argsort(doc_ids, kind="mergesort")
            order = by_doc_id[np.argsort(keys[by_doc_id], kind="mergesort")]
            keys[:], places[:] = keys[order], places[order]
            return


@njit(cache=True, nogil=True)
def _name_firsts(rows: Rows, hot: int) -> None:
    """Sets `first` in sorted rows, for buckets to be thinned."""
    start = 0
    for end in range(1, len(rows) + 1):
        if end == len(rows) or rows[end].key != rows[start].key:
            if end - start >= hot:
                for i in range(start, end):
                    rows[i].first = rows[start].doc_id
            start = end


@njit(cache=True, nogil=True)
def _later(rows: Rows, order: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The places of all rows but the first of each bucket, and the doc_id of the first."""
    places, firsts = np.empty(len(order), np.int32), np.empty(len(order), np.int64)
    found = start = 0
    for i in range(1, len(order)):
        if rows[order[i]].key == rows[order[start]].key:
            places[found], firsts[found] = order[i], rows[order[start]].doc_id
            found += 1
        else:
            start = i
    return places[:found], firsts[:found]
