"""One compressed WARC read in independent byte ranges, with a proof that together they are the file.

A range begins at the first gzip member that begins with `WARC/`. That may be one stored inside a record, so each range
reports the offsets of its first record and of the first record after it. Only if these match from the start of the file
to its end, without damage, are the records of the ranges the records of the file.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import BinaryIO, Final, NamedTuple

from swallow_spark.kernels.warc import warc
from swallow_spark.kernels.warc.members import CHUNK_BYTES, GZIP_MAGIC, BrokenMemberError, Member, Window
from swallow_spark.kernels.warc.records import Damage, Record, begins_record

_TRIAL_BYTES: Final = 1 << 20  # compressed bytes kept while a member is tried
_MAX_TRIALS: Final = 1_000  # of false starts; by chance there is one in 16 MB
_MAGIC: Final = re.compile(re.escape(GZIP_MAGIC))


class Span(NamedTuple):
    """What a range was found to contain. Offsets in the file."""

    start: int
    end: int
    first: int | None = None
    """Of the first record that begins in the range, or None."""
    next: int | None = None
    """Of the first record after the range; None at the end of the file."""
    damaged: bool = False
    modified_ns: int | None = None
    """When the file was last modified, if known: spans with different times are of different files."""


def cut(size: int, min_bytes: int, max_ranges: int) -> list[tuple[int, int]]:
    """(start, end) of at most `max_ranges` ranges of at least `min_bytes` that cover a file of `size` bytes."""
    number = max(1, min(max_ranges, size // min_bytes))
    borders = [size * i // number for i in range(number + 1)]
    return list(pairwise(borders))


def meet(spans: Sequence[Span]) -> bool:
    """Whether these spans contain each record of one file exactly once."""
    if len({span.modified_ns for span in spans}) > 1:
        return False
    expected: int | None = 0
    for span in sorted(spans):
        holds_expected = expected is not None and expected < span.end
        if span.damaged or span.first != (expected if holds_expected else None):
            return False
        if holds_expected:
            expected = span.next
    return expected is None


class RangeReader:
    """The records that begin in a range of a seekable stream, up to the first damage; `span` is complete afterwards."""

    def __init__(self, stream: BinaryIO, start: int, end: int, max_record_bytes: int) -> None:
        self.span = Span(start, end)
        self._stream = stream
        self._max_record_bytes = max_record_bytes

    def __iter__(self) -> Iterator[Record]:
        start, end = self.span[:2]
        first = _first_member(self._stream, start, end) if start else 0
        if first is None:
            return
        self.span = self.span._replace(first=first)
        self._stream.seek(first)
        for item in warc.read(self._stream, base_offset=first, max_record_bytes=self._max_record_bytes):
            if isinstance(item, Damage):
                self.span = self.span._replace(damaged=True)
                return
            if item.offset >= end:
                self.span = self.span._replace(next=item.offset)
                return
            yield item


def _first_member(stream: BinaryIO, start: int, end: int) -> int | None:
    """Where the first gzip member with a record begins from `start` on and before `end`, or None."""
    stream.seek(start)
    window = Window(stream)
    position = trials = 0
    while data := window.at(position, CHUNK_BYTES):
        for found in _MAGIC.finditer(data):
            at = position + found.start()
            if start + at >= end or trials == _MAX_TRIALS:
                return None
            trials += 1
            try:
                if begins_record(Member(window, at, _TRIAL_BYTES).peek(5)):
                    return start + at
            except BrokenMemberError:
                pass  # the magic number by chance
            if window.start > at:
                return None  # it inflates to almost nothing, and its bytes are gone: the spans will not match
        if start + position >= end or len(data) < CHUNK_BYTES:
            return None
        position += len(data) - len(GZIP_MAGIC) + 1
        window.release(position)
    return None
