"""Records that an index names, fetched by byte range: neighbours in one request, several requests at once."""

import io
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from swallow_spark.files.ranges import Ranges
from swallow_spark.kernels.warc import warc

_REQUEST_BYTES: Final = 4 << 20  # of neighbours together; times the requests at once, it bounds what a task holds
Numbers = NDArray[np.int64]


def by_file(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, Numbers, Numbers]]:
    """The file_no, offsets and lengths of each run of rows (tables.SELECTIONS) of a file."""
    rows = ([c.to_numpy() for c in batch.columns] for batch in batches if batch.num_rows)
    pieces = (
        (int(file_nos[start]), offsets[start:end], lengths[start:end])
        for file_nos, offsets, lengths in rows
        for start, end in pairwise([0, *(np.flatnonzero(np.diff(file_nos)) + 1), len(file_nos)])
    )
    for file_no, parts in groupby(pieces, key=lambda piece: piece[0]):
        _, offsets, lengths = zip(*parts, strict=True)
        yield file_no, np.concatenate(offsets), np.concatenate(lengths)


class Request(NamedTuple):
    """Records that are fetched together: numbers first to last, in bytes start to end; both ends exclusive."""

    first: int
    last: int
    start: int
    end: int


def requests(offsets: Numbers, lengths: Numbers, max_gap_bytes: int) -> list[Request]:
    """Cuts ascending records into requests: neighbours with at most `max_gap_bytes` between them share one, up to a
    bound that only a single record may exceed."""
    if not len(offsets):
        return []
    ends = np.maximum.accumulate(offsets + lengths)
    cut: list[Request] = []
    first = 0
    for i in range(1, len(offsets)):
        is_far = offsets[i] - ends[i - 1] > max_gap_bytes
        if is_far or ends[i] - offsets[first] > _REQUEST_BYTES:
            cut.append(Request(first, i, int(offsets[first]), int(ends[i - 1])))
            first = i
    return [*cut, Request(first, len(offsets), int(offsets[first]), int(ends[-1]))]


@dataclass(eq=False)
class SelectedRecords:
    """The records of one WARC at ascending `offsets`, each a gzip member of `lengths` bytes, or what is wrong with
    them: each gives exactly one item, the one that reading the whole file gives at its offset.

    An offset without a record is a damage of scope `record`: `no_record`, or `truncated` after the end of the file.
    `bytes_fetched` counts during the iteration.
    """

    ranges: Ranges
    offsets: Numbers
    lengths: Numbers
    at_once: int
    max_gap_bytes: int
    max_record_bytes: int
    bytes_fetched: int = 0

    def __iter__(self) -> Iterator[warc.Record | warc.Damage]:
        # A compressed record over the limit is too large in any case: fetch one byte of it.
        lengths = np.where(self.lengths > self.max_record_bytes, 1, self.lengths)
        coming = iter(requests(self.offsets, lengths, self.max_gap_bytes))
        waiting: deque[tuple[Request, Future[bytes]]] = deque()
        with ThreadPoolExecutor(self.at_once) as pool:
            try:
                while True:
                    while len(waiting) < self.at_once and (request := next(coming, None)):
                        waiting.append((request, pool.submit(self.ranges.read, request.start, request.end)))
                    if not waiting:
                        return
                    request, fetched = waiting.popleft()
                    data = fetched.result()
                    self.bytes_fetched += len(data)
                    for i in range(request.first, request.last):
                        start = int(self.offsets[i]) - request.start
                        yield self._at(int(self.offsets[i]), int(self.lengths[i]), data[start : start + lengths[i]])
            finally:
                for _, fetched in waiting:
                    fetched.cancel()

    def _at(self, offset: int, length: int, data: bytes) -> warc.Record | warc.Damage:
        if length > self.max_record_bytes:
            detail = f"{length} bytes by the index, more than the limit of {self.max_record_bytes}"
            return warc.Damage(offset, "record", "record_too_large", detail)
        for item in warc.read(io.BytesIO(data), base_offset=offset, max_record_bytes=self.max_record_bytes):
            if item.offset == offset and (isinstance(item, warc.Record) or item.scope == "record"):
                return item
        if len(data) < length:
            return warc.Damage(offset, "record", "truncated", f"the file ends {len(data)} bytes into {length}")
        return warc.Damage(offset, "record", "no_record", "the index names one here")
