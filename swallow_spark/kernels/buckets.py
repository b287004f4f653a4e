"""Buckets: from band keys to edges, each page to the first page of its bucket, in bounded memory.

Two halves with an exchange by key between them: `thin` on the side of the map tasks, `reduce` on the other; `pack` and
`unpack` make it an exchange of few large rows. A bucket of n pages costs n rows; no pair of pages is ever formed. Of a
hot bucket only the first page of each chunk is exchanged.
"""

import tempfile
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, Final, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

# A key that a chunk holds at least so often is thinned to its first page there. Rarer ones are not worth the join that
# resolves what was thinned.
HOT: Final = 16
CHUNK_ROWS: Final = 4 << 20  # rows that a map task holds at once: some 500 MB with what sorting and packing need
REDUCE_ROWS: Final = 16 << 20  # rows of a partition that are sorted in memory; more wait on disk

PACKED_BYTES: Final = 1 << 20  # of a row of PACKED, at most
_BATCH_BYTES: Final = 8 << 20

KEYS: Final = pa.schema([("key", pa.int64()), ("doc_id", pa.int64()), ("band", pa.int32()), ("first", pa.int64())])
"""Rows to exchange by key; `first` is null but for thinned rows, whose chunk begins with that page."""
PACKED: Final = pa.schema([("partition", pa.int32()), ("rows", pa.binary())])
"""Many rows of KEYS for one partition as a single one: what an exchange costs is by the row, and a page has forty."""
_ROW: Final = np.dtype([("key", "<i8"), ("doc_id", "<i8"), ("first", "<i8"), ("band", "<i4")])
_NOT_THINNED: Final = np.iinfo(np.int64).min  # in the place of `first`

EDGES: Final = pa.schema(
    [("doc_id", pa.int64()), ("first", pa.int64()), ("band", pa.int32()), ("key", pa.int64()), ("thinned", pa.bool_())]
)
"""A page and the first page of its bucket; where `thinned`, only the first of a chunk: the bucket's first is then that
of (first, band) in another row, or `first` itself."""


class Rows(NamedTuple):
    """Members of buckets: arrays of the same length."""

    keys: NDArray[np.int64]
    doc_ids: NDArray[np.int64]
    bands: NDArray[np.int32]

    def in_order(self) -> "Rows":
        """Bucket by bucket, in each by doc_id."""
        order = np.lexsort((self.doc_ids, self.keys))
        return Rows(self.keys[order], self.doc_ids[order], self.bands[order])


def explode(doc_ids: NDArray[np.int64], bands: pa.Array, start: int) -> Rows:
    """The rows of pages with their lists of band keys (all of one length), the first of which is of band `start`."""
    keys = bands.flatten().to_numpy()
    num_bands = len(keys) // max(1, len(bands))
    numbers = np.arange(start, start + num_bands, dtype=np.int32)
    return Rows(keys, np.repeat(doc_ids, num_bands), np.tile(numbers, len(bands)))


def thin(parts: Iterable[Rows]) -> Iterator[pa.RecordBatch]:
    """Rows to exchange (KEYS), a batch for each chunk."""
    held: list[Rows] = []
    rows = 0
    for part in parts:
        held.append(part)
        rows += len(part.keys)
        if rows >= CHUNK_ROWS:
            yield _thin_chunk(held)
            held, rows = [], 0
    if held:
        yield _thin_chunk(held)


def _thin_chunk(held: list[Rows]) -> pa.RecordBatch:
    keys, doc_ids, bands = Rows(*(np.concatenate(part) for part in zip(*held, strict=True))).in_order()
    starts, sizes = _runs(keys)
    is_first = np.zeros(len(keys), np.bool_)
    is_first[starts] = True
    thinned = np.repeat(sizes >= HOT, sizes) & ~is_first
    firsts = pa.array(np.repeat(doc_ids[starts], sizes), mask=~thinned)
    return pa.RecordBatch.from_arrays([*map(pa.array, (keys, doc_ids, bands)), firsts], schema=KEYS)


def pack(chunks: Iterable[pa.RecordBatch], partitions: int) -> Iterator[pa.RecordBatch]:
    """KEYS as PACKED, each row in the partition that `reduce` needs it in: with its key's others, or if it is thinned,
    anywhere, as a hot key's partition would have too many: by its page."""
    for chunk in chunks:
        keys, doc_ids, bands = (chunk.column(name).to_numpy() for name in ("key", "doc_id", "band"))
        firsts = chunk.column("first").fill_null(_NOT_THINNED).to_numpy()
        partition_of = _partition_of(np.where(firsts == _NOT_THINNED, keys, doc_ids), partitions)
        order = np.argsort(partition_of, kind="stable")
        partition_of = partition_of[order]
        rows = np.empty(len(order), _ROW)
        for name, values in zip(_ROW.names or (), (keys, doc_ids, firsts, bands), strict=True):
            rows[name] = values[order]
        cuts = np.arange(0, len(rows), PACKED_BYTES // _ROW.itemsize)
        starts = np.union1d(_runs(partition_of)[0], cuts)
        offsets = (np.append(starts, len(rows)) * _ROW.itemsize).astype(np.int32)
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


def _partition_of(values: NDArray[np.int64], partitions: int) -> NDArray[np.uint32]:
    """Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4): its high bits, so that the low ones of a key,
    by which `_Spill` parts, are free."""
    high = values.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32)
    return (high * np.uint64(partitions) >> np.uint64(32)).astype(np.uint32)


def unpack(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """KEYS of PACKED, of which only `rows` is needed."""
    for batch in batches:
        if batch.num_rows:
            packed = batch.column("rows")
            _, offsets, data = packed.buffers()
            ends = np.frombuffer(offsets, np.int32)[[packed.offset, packed.offset + len(packed)]]
            rows = np.frombuffer(data, np.uint8)[slice(*ends)].view(_ROW)
            firsts = pa.array(rows["first"], mask=rows["first"] == _NOT_THINNED)
            columns = [*(pa.array(rows[name]) for name in ("key", "doc_id", "band")), firsts]
            yield pa.RecordBatch.from_arrays(columns, schema=KEYS)


def _runs(keys: NDArray[np.int64] | NDArray[np.uint32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and sizes of the runs of equal values."""
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]]) if len(keys) else np.zeros(0, np.int64)
    return starts, np.diff(np.r_[starts, len(keys)])


def _batches(columns: list[Any], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    batch = pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=schema)
    for start in range(0, batch.num_rows, 1 << 16):
        yield batch.slice(start, 1 << 16)


def reduce(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Edges (EDGES) of whole buckets (KEYS), for all pages but the first of each. Thinned rows pass through."""
    held: list[pa.RecordBatch] = []
    rows = 0
    with _Spill() as spill:
        for batch in batches:
            thinned = pc.is_valid(batch.column("first"))
            yield _passed(batch.filter(thinned))
            held.append(batch.filter(pc.invert(thinned)))
            rows += held[-1].num_rows
            if rows > REDUCE_ROWS:
                spill.add(held)
                held, rows = [], 0
        if spill.used:
            spill.add(held)
            for part in spill.parts():
                yield from _firsts(part)
        else:
            yield from _firsts(pa.Table.from_batches(held, KEYS))


def _passed(rows: pa.RecordBatch) -> pa.RecordBatch:
    columns = [rows.column(name) for name in ("doc_id", "first", "band", "key")]
    return pa.RecordBatch.from_arrays([*columns, pa.array(np.ones(rows.num_rows, np.bool_))], schema=EDGES)


def _firsts(rows: pa.Table) -> Iterator[pa.RecordBatch]:
    keys, doc_ids, bands = Rows(*(rows.column(name).to_numpy() for name in ("key", "doc_id", "band"))).in_order()
    starts, sizes = _runs(keys)
    later = np.ones(len(keys), np.bool_)
    later[starts] = False
    firsts = np.repeat(doc_ids[starts], sizes)[later]
    columns = [doc_ids[later], firsts, bands[later], keys[later], np.zeros(len(firsts), np.bool_)]
    yield from _batches(columns, EDGES)


class _Spill:
    """Rows on local disk, in parts by key: a bucket's rows are all in one part."""

    _PARTS: Final = 32

    def __init__(self) -> None:
        self._writers: list[pa.RecordBatchStreamWriter] = []

    @property
    def used(self) -> bool:
        return bool(self._writers)

    def __enter__(self) -> Self:
        self._directory = tempfile.TemporaryDirectory(prefix="swallow-spark-")
        return self

    def __exit__(self, *_: object) -> None:
        self._directory.cleanup()

    def _path(self, part: int) -> str:
        return f"{self._directory.name}/{part}.arrows"

    def add(self, batches: list[pa.RecordBatch]) -> None:
        if not self._writers:
            self._writers = [pa.ipc.new_stream(self._path(part), KEYS) for part in range(self._PARTS)]
        for batch in batches:
            # Keys are hash values themselves, and partitions were made by high bits of another hash: low bits will do.
            part_of = batch.column("key").to_numpy() % self._PARTS
            for part in np.unique(part_of):
                self._writers[part].write_batch(batch.filter(pa.array(part_of == part)))

    def parts(self) -> Iterator[pa.Table]:
        for part, writer in enumerate(self._writers):
            writer.close()
            with pa.OSFile(self._path(part)) as file:
                yield pa.ipc.open_stream(file).read_all()
