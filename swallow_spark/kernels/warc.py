"""The records of a WARC file, with their offsets, and everything that is wrong with the file.

An intact compressed file is read by FastWARC. Its records are held back until the two behind them have been framed, so
at the first thing that is not plain and sound `framing.CarefulReader` takes over from the first record not given out.
"""

import io
from collections import deque
from collections.abc import Iterator
from typing import BinaryIO, Final

from fastwarc.warc import ArchiveIterator

from swallow_spark.kernels.framing import SCAN_BYTES, CarefulReader, Damage, Record
from swallow_spark.kernels.members import GZIP_MAGIC, READ_BYTES, Window

__all__ = ["MAX_RECORD_BYTES", "Damage", "Record", "find_record", "raw_record", "read"]

VERSION: Final = 1  # raise it where other records, or damages, may come out of the same bytes
MAX_RECORD_BYTES: Final = 64 << 20  # Common Crawl cuts payloads at 1 MiB (since 2025 at 5 MiB)

# A record may only be given out when nothing can come to light about it any more. The checksum of its member is checked
# when FastWARC goes on to the next record; and a second record in the same member betrays itself by having the offset
# of the record behind it.
_NUM_HELD: Final = 3


def read(
    stream: BinaryIO, *, base_offset: int = 0, max_record_bytes: int = MAX_RECORD_BYTES
) -> Iterator[Record | Damage]:
    """The records and damages of a WARC file, compressed member by member, as a whole, or not at all, in file order.

    Each record that is framed comes exactly once: as a `Record`, or as a `Damage` of scope `record`. Damaged input
    raises nothing; what `stream.read` raises is passed on. `base_offset` is added to offsets: where in its file the
    stream begins. A block over `max_record_bytes` is a damage (`record_too_large`); memory is bounded by some four
    times that, whatever the file holds or inflates to.

    The stream is read forwards only and need not be seekable.

    Reasons, scope `record`: truncated, bad_crc, bad_gzip, wrong_content_length, bad_header, record_too_large; `gap`:
    garbage, truncated, bad_crc, bad_gzip; `file`: empty, not_a_warc, shared_gzip_member (a note: its records are read).
    """
    window = Window(stream)
    for item in _read_both(window, max_record_bytes):
        item.offset += base_offset
        yield item


def _read_both(window: Window, max_record_bytes: int) -> Iterator[Record | Damage]:
    if window.at(0, 3) == GZIP_MAGIC:
        yield from _read_intact(window, max_record_bytes)
    for item, _ in CarefulReader(window, max_record_bytes).items():
        yield item


def _read_intact(window: Window, max_record_bytes: int) -> Iterator[Record]:
    """Records up to the first that is not plain and sound, or the last but one; the window then begins behind them."""
    tap = _Tap(window, max_held_bytes=max_record_bytes + SCAN_BYTES)
    held: deque[Record] = deque()
    records = iter(ArchiveIterator(tap, parse_http=False))
    while True:
        try:
            found = next(records, None)
            if found is None or not 0 <= found.content_length <= max_record_bytes:
                break
            values = found.headers.values()
            headers = dict(zip(map(str.lower, found.headers.keys()), values, strict=True))
            if not headers.get("warc-type") or headers.get("content-length") != str(found.content_length):
                break
            if "\n" in "".join(values):  # bare LF: FastWARC reads on to the next CR LF, even into the next record
                break
            record = Record(found.stream_pos, 0, headers, found.reader.read(found.content_length))
        except OSError:  # inflating or framing failed; FastWARC says no more, the careful reader will
            break
        if (held and record.offset <= held[-1].offset) or window.at(record.offset, 3) != GZIP_MAGIC:
            break
        held.append(record)
        if len(held) == _NUM_HELD:
            intact = held.popleft()
            intact.length = held[0].offset - intact.offset
            window.release(held[0].offset)
            yield intact
    if tap.error:
        raise tap.error


class _Tap:
    """What FastWARC reads the window through. It wants `tell`, and panics where a stream's own misbehaves."""

    def __init__(self, window: Window, max_held_bytes: int) -> None:
        self.error: Exception | None = None
        self._window = window
        self._next = window.start
        self._max_held_bytes = max_held_bytes

    def read(self, size: int = READ_BYTES) -> bytes:
        if self._window.end - self._window.start > self._max_held_bytes:
            return b""  # a record too large to be held: FastWARC ends here, the careful reader goes on
        try:
            data = self._window.at(self._next, size)
        except Exception as error:  # kept, for FastWARC turns it into an error of its own
            self.error = error
            raise
        self._next += len(data)
        return data

    def tell(self) -> int:
        return self._next

    def seek(self, offset: int, whence: int = 0) -> int:
        raise io.UnsupportedOperation("a WARC is read forwards only")

    def close(self) -> None:
        pass


def find_record(stream: BinaryIO, offset: int, *, max_record_bytes: int = MAX_RECORD_BYTES) -> Record:
    """The record that `read` gives `offset` (without base_offset), from a seekable stream. KeyError: none has it."""
    return _find(stream, offset, max_record_bytes)[0]


def raw_record(stream: BinaryIO, offset: int, *, max_record_bytes: int = MAX_RECORD_BYTES) -> bytes:
    """The WARC head and the block of the record at `offset`, inflated but else as stored. KeyError as `find_record`."""
    record, head = _find(stream, offset, max_record_bytes)
    return head + record.block


def _find(stream: BinaryIO, offset: int, max_record_bytes: int) -> tuple[Record, bytes]:
    # Records that share a gzip member have offsets at which nothing begins: for them, read from the start of the file.
    for start in dict.fromkeys((offset, 0)):
        stream.seek(start)
        for item, head in CarefulReader(Window(stream), max_record_bytes).items():
            if isinstance(item, Record) and item.offset + start == offset:
                return item, head
            if item.offset + start > offset or (start and not isinstance(item, Record)):
                break
    raise KeyError(f"no record at offset {offset}")
