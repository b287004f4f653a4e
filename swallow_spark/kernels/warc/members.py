"""The bytes of a file for framing: plain, or in members that may be damaged, and what distinguishes kinds of files.

Gzip framing (RFC 1952) is done here on raw deflate, since zlib's own neither finds the end of a member with a wrong
checksum nor returns the data before an error. Only a window of the file and one inflated chunk are in memory.
"""

import re
import struct
import zlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import BinaryIO, Final, NamedTuple

import deflate
import numpy as np
from numba import njit

from swallow_spark.kernels.warc.records import HEAD_END, MAX_HEAD_BYTES, begins_record, parse_head

GZIP_MAGIC: Final = b"\x1f\x8b\x08"
READ_BYTES: Final = 256 << 10  # read from the stream at once
CHUNK_BYTES: Final = 16 << 10  # of compressed input, and of inflated output, at once
_BLOCK_BYTES: Final = 64  # tested at once
_TRAILER: Final = struct.Struct("<II")  # CRC-32, and the size modulo 2**32
_MIN_MEMBER_BYTES: Final = 18  # a head and a trailer
MAX_GZIP_HEAD_BYTES: Final = 64 << 10
MAX_MEMBERS: Final = 1 << 17  # that one record goes through; BGZF has at most 64 KiB in each


class Window:
    """A stream's bytes by position, from `start` on, kept until `release`, as they may have to be read in another way.
    The stream is only read forwards."""

    def __init__(self, stream: BinaryIO) -> None:
        self.start = 0
        self._ended = False
        self._stream = stream
        self._held = bytearray()
        self._held_from = 0  # at `start` or before it: released bytes are dropped at the next read
        self._heads: list[int] = []  # where gzip members may begin, descending
        self._searched_to = 0

    @property
    def end(self) -> int:
        return self._held_from + len(self._held)

    def at(self, position: int, size: int) -> bytes:
        """The bytes from `position` on: `size` of them, fewer only at the end of the stream."""
        while self.end < position + size and not self._ended:
            self._read_more()
        if position < self.start:
            raise ValueError(f"byte {position} was released: the window begins at {self.start}")
        begin = position - self._held_from
        return bytes(memoryview(self._held)[begin : begin + size])

    def held(self, position: int, end: int) -> bytearray:
        """The bytes from `position` to `end`, a result of `next_head`."""
        return self._held[position - self._held_from : end - self._held_from]

    def _read_more(self) -> None:
        data = self._stream.read(READ_BYTES)
        self._ended = not data
        del self._held[: self.start - self._held_from]
        self._held_from = self.start
        self._held += data

    def next_head(self, position: int, max_bytes: int) -> int:
        """The next place of GZIP_MAGIC from `position` on; if not within `max_bytes`, the end of what was read."""
        while True:
            heads = self._heads
            while heads:
                if heads[-1] >= position:
                    return heads[-1]
                heads.pop()
            begin = max(self._searched_to, position)
            if begin + len(GZIP_MAGIC) > self.end:
                if self._ended or self.end - position > max_bytes:
                    return self.end
                self._read_more()
            else:
                found = _find_heads(np.frombuffer(self._held, dtype=np.uint8), begin - self._held_from)
                self._heads = (found[::-1] + self._held_from).tolist()
                self._searched_to = self.end - len(GZIP_MAGIC) + 1

    def release(self, position: int) -> None:
        """Drop the bytes before `position`."""
        self.start = max(self.start, min(position, self.end))


@njit(cache=True, nogil=True)
def _find_heads(data: np.ndarray, start: int) -> np.ndarray:
    """int64, ascending: the places of GZIP_MAGIC. A vectorised loop skips blocks without it."""
    found = np.empty((data.size - start) // 3 + 1, np.int64)
    number = 0
    i = start
    while i + 2 < data.size:
        stop = min(i + _BLOCK_BYTES, data.size - 2)
        if stop - i == _BLOCK_BYTES:
            block = data[i : stop + 1]
            seen = False
            for k in range(_BLOCK_BYTES):
                seen |= (block[k] == np.uint8(0x1F)) & (block[k + 1] == np.uint8(0x8B))
            if not seen:
                i = stop
                continue
        while i < stop:
            if data[i] == 0x1F and data[i + 1] == 0x8B and data[i + 2] == 0x08:
                found[number] = i
                number += 1
            i += 1
    return found[:number]


def inflate_member(window: Window, start: int, max_bytes: int) -> tuple[bytes | bytearray, int] | None:
    """The content of the gzip member at `start`, and where it ends. None if it is damaged or empty, is not followed by
    another one or the end of the stream, or is larger than `max_bytes`, compressed or inflated.

    libdeflate is the fastest on members of a few kilobytes but needs their end and size. The member is assumed to end
    at the next head; this is right if its last bytes are the checksum and size of the output.
    """
    end = window.next_head(start + _MIN_MEMBER_BYTES, max_bytes)
    if end - start > max_bytes or end - start < _MIN_MEMBER_BYTES:
        return None
    member = window.held(start, end)
    crc, size = _TRAILER.unpack_from(member, end - start - _TRAILER.size)
    if 0 < size <= max_bytes:
        try:
            inflated = deflate.gzip_decompress(member, size)
        except deflate.DeflateError:
            pass  # damaged, or the next head is part of this member: by chance once in 16 MB
        else:
            if len(inflated) == size and deflate.crc32(inflated) == crc:
                return inflated, end
    return _inflate_member_slowly(window, start, max_bytes)


def _inflate_member_slowly(window: Window, start: int, max_bytes: int) -> tuple[bytes, int] | None:
    """`inflate_member` with zlib, which finds the end of a member itself."""
    inflater, position, inflated = zlib.decompressobj(16 + zlib.MAX_WBITS), start, b""
    try:
        while not inflater.eof:
            deflated = inflater.unconsumed_tail
            if not deflated:
                deflated = window.at(position, CHUNK_BYTES)
                position += len(deflated)
            inflated += inflater.decompress(deflated, max_bytes + 1 - len(inflated))
            if not deflated or len(inflated) > max_bytes or position - start > max_bytes:
                return None
    except zlib.error:
        return None
    end = position - len(inflater.unused_data)
    return (inflated, end) if window.at(end, 3) in (GZIP_MAGIC, b"") else None


class BrokenMemberError(Exception):
    """A gzip member that cannot be inflated to its end, or has a wrong checksum.

    `start`: where it begins; `end`: where it seems to end (a damaged one may seem to continue into the next), or None;
    `num_read`: how many of its bytes were read.
    """

    def __init__(self, start: int, reason: str, detail: str, end: int | None = None) -> None:
        super().__init__(reason, detail)
        self.start = start
        self.reason = reason
        self.detail = detail
        self.end = end
        self.num_read = 0
        self.reported = False  # as a Damage


class Source(ABC):
    """Bytes that contain records; `tell` counts those taken or skipped."""

    def __init__(self, window: Window, start: int) -> None:
        self.window = window
        self.start = start
        self.tell = 0
        self.in_record = False
        """Whether the next bytes belong to the record that the last ones belong to."""
        self._buffer = bytearray()

    @property
    @abstractmethod
    def place(self) -> int:
        """The offset in the file of the next byte, or of the gzip member that holds it."""

    @abstractmethod
    def more(self) -> bytes:
        """The next bytes; b"" at the end."""

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, fewer only at the end."""
        while len(self._buffer) < size and (data := self.more()):
            self._buffer += data
        return bytes(memoryview(self._buffer)[:size])

    def peek_through(self, pattern: re.Pattern[bytes], max_bytes: int) -> bytes | None:
        """The next bytes up to the end of the first match; None if none ends within `max_bytes`."""
        while True:
            if found := pattern.search(self._buffer, 0, max_bytes):
                return bytes(memoryview(self._buffer)[: found.end()])
            if len(self._buffer) >= max_bytes or not (data := self.more()):
                return None
            self._buffer += data

    def take(self, size: int) -> bytes:
        data = self.peek(size)
        del self._buffer[: len(data)]
        self.tell += len(data)
        return data

    def skip(self, size: int) -> int:
        """Skip `size` bytes, fewer only at the end, without keeping them; returns their number."""
        left = size
        while left and self.peek(1):
            step = min(left, len(self._buffer))
            del self._buffer[:step]
            self.tell += step
            left -= step
        return size - left

    def skip_line_ends(self, enough: int | None = None) -> int:
        """Skip line ends, not many more than `enough` bytes; returns their number of bytes."""
        before, size = self.tell, 4
        while data := self.peek(size):
            rest = data.lstrip(b"\r\n")
            self.skip(len(data) - len(rest))
            if rest or (enough is not None and self.tell - before >= enough):
                break
            size = CHUNK_BYTES
        return self.tell - before

    def put_back(self, data: bytes) -> None:
        self._buffer[:0] = data
        self.tell -= len(data)


class Plain(Source):
    """An uncompressed file from `start` to its end."""

    @property
    def place(self) -> int:
        return self.start + self.tell

    def more(self) -> bytes:
        data = self.window.at(self.start + self.tell + len(self._buffer), CHUNK_BYTES)
        self.window.release(self.start + self.tell + len(self._buffer) + len(data))
        return data


class Packed(Source):
    """A part of a file that can be unpacked alone: a gzip member or a zstd frame. Raises BrokenMemberError."""

    def __init__(self, window: Window, start: int, max_held_bytes: int) -> None:
        super().__init__(window, start)
        self.end: int | None = None
        self._max_held_bytes = max_held_bytes
        self._next = start

    @property
    def place(self) -> int:
        return self.start

    @property
    def num_read(self) -> int:
        """Compressed bytes read so far."""
        return self._next - self.start

    def peeked_or_more(self) -> bytes:
        """The bytes that were peeked at, if any; otherwise `more`."""
        if not self._buffer:
            return self.more()
        data = bytes(self._buffer)
        self._buffer.clear()
        return data


class Member(Packed):
    """A gzip member, inflated in chunks of bounded size."""

    def __init__(self, window: Window, start: int, max_held_bytes: int) -> None:
        super().__init__(window, start, max_held_bytes)
        self._next = start + _gzip_head_length(window, start)
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._crc = 0
        self._size = 0
        self._broken: BrokenMemberError | None = None  # raised after the bytes before the error were returned

    def more(self) -> bytes:
        while self.end is None or self._broken:
            if self._broken:
                self._broken.num_read = self.num_read
                raise self._broken
            deflated = self._inflater.unconsumed_tail
            if not deflated:
                deflated = self.window.at(self._next, CHUNK_BYTES)
                self._next += len(deflated)
                # the search after a broken member begins right after its start, or as far back as memory allows
                self.window.release(self._next - self._max_held_bytes)
            at_end = not deflated
            try:
                data = self._inflater.decompress(deflated, CHUNK_BYTES)
            except zlib.error as error:
                self._broken = BrokenMemberError(self.start, "bad_gzip", str(error))
                data = b"" if self._size else _inflate_to_error(deflated)
            self._crc = zlib.crc32(data, self._crc)
            self._size += len(data)
            if self._inflater.eof:
                self._finish(self._next - len(self._inflater.unused_data))
            elif at_end and not data and not self._broken:
                detail = f"the file ends {self._next - self.start} bytes into the member"
                self._broken = BrokenMemberError(self.start, "truncated", detail)
            if data:
                return data
        return b""

    def _finish(self, trailer: int) -> None:
        """Check the member's trailer: CRC-32 and size of what was inflated."""
        self.end = trailer + 8
        expected = self.window.at(trailer, 8)
        if len(expected) < 8:
            detail = "the file ends in the trailer of the member"
            self._broken = BrokenMemberError(self.start, "truncated", detail)
        elif expected != self._crc.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little"):
            detail = "the checksum of the gzip member does not fit what it holds"
            self._broken = BrokenMemberError(self.start, "bad_crc", detail, self.end)


class Layout(NamedTuple):
    """How a kind of file is packed, and how its records begin."""

    magic: bytes
    """The first bytes of its members."""
    member: Callable[[Window, int, int], Packed]
    first: re.Pattern[bytes]
    """Finds the end of what `begins` and `may_begin` look at,"""
    num_first: int
    """and this many bytes at most."""
    begins: Callable[[bytes], bool]
    """Whether a record begins with these bytes."""
    may_begin: Callable[[bytes], bool]
    """The same for bytes that may be cut; also at the end, without any."""
    start: re.Pattern[bytes]
    """Finds where a member or a record may begin."""
    head_line: re.Pattern[bytes]
    """Finds the first line of a head inside of other bytes."""
    head_end: re.Pattern[bytes]
    record_end: re.Pattern[bytes]
    """What is behind a block whose record ends there, whatever follows."""
    parse: Callable[[bytes], dict[str, str] | None]
    """The headers of a head; None if it is none. Without `content-length`, the block goes up to the next record."""

    def peek_first(self, source: Source) -> bytes:
        """What `begins` looks at. No more, since a damage behind it doesn't concern the record before."""
        return source.peek_through(self.first, self.num_first) or source.peek(self.num_first)


def _may_begin(data: bytes) -> bool:
    return b"WARC/".startswith(data.upper())


WARC: Final = Layout(
    magic=GZIP_MAGIC,
    member=Member,
    first=re.compile(rb"(?s).{5}"),
    num_first=5,
    begins=begins_record,
    may_begin=_may_begin,
    start=re.compile(rb"\x1f\x8b\x08|[Ww][Aa][Rr][Cc]/"),
    head_line=re.compile(rb"[Ww][Aa][Rr][Cc]/\d+\.\d+[ \t]*\r*\n"),
    head_end=HEAD_END,
    record_end=re.compile(rb"\r{0,2}\n\r{0,2}\n"),
    parse=parse_head,
)


class Members(Source):
    """The members from `start` on, as far as a record goes on from one into the next. Members that are cut without
    regard to records, as in BGZF, concatenate to the file (RFC 1952, 2.2). Raises BrokenMemberError."""

    def __init__(self, window: Window, start: int, max_held_bytes: int, layout: Layout) -> None:
        super().__init__(window, start)
        self._max_held_bytes = max_held_bytes
        self._layout = layout
        self._member = layout.member(window, start, max_held_bytes)
        self._starts = deque([(0, start)])  # of members: place in what they hold together, offset in the file
        self._num_inflated = 0

    @property
    def place(self) -> int:
        self._forget()
        return self._starts[0][1]

    @property
    def end(self) -> int | None:
        """Where the last member read ends, if that is known."""
        return self._member.end

    @property
    def is_joined(self) -> bool:
        """Whether a record went on from one member into the next."""
        return self._member.start != self.start

    def more(self) -> bytes:
        while not (data := self._member.peeked_or_more()):
            if not self.in_record or not self._go_on():
                break
        self._num_inflated += len(data)
        return data

    def _forget(self) -> None:
        """Drop the starts of members before the one that holds the next byte."""
        while len(self._starts) > 1 and self._starts[1][0] <= self.tell:
            self._starts.popleft()

    def _go_on(self) -> bool:
        """Turn to the next member, unless there is none, or a record begins with it."""
        end, layout = self._member.end, self._layout
        if end is None or self.window.at(end, len(layout.magic)) != layout.magic:
            return False
        self._forget()
        if len(self._starts) == MAX_MEMBERS:
            return False
        following = layout.member(self.window, end, self._max_held_bytes)
        if layout.begins(layout.peek_first(following)):
            head = following.peek_through(layout.head_end, MAX_HEAD_BYTES)
            if head and layout.parse(head):
                return False
        self._member = following
        self._starts.append((self._num_inflated, end))
        return True


def _inflate_to_error(deflated: bytes) -> bytes:
    """The output before an error, byte by byte: zlib returns nothing of a piece with an error."""
    inflater, inflated = zlib.decompressobj(-zlib.MAX_WBITS), bytearray()
    try:
        for at in range(len(deflated)):
            inflated += inflater.decompress(deflated[at : at + 1], CHUNK_BYTES)
    except zlib.error:
        pass  # the caller has it already
    return bytes(inflated)


def _gzip_head_length(window: Window, start: int) -> int:
    """The length of the head of the gzip member at `start` (RFC 1952, 2.3)."""
    head = window.at(start, 10)
    flags = head[3] if len(head) > 3 else 0
    at = 10
    if flags:
        head = window.at(start, MAX_GZIP_HEAD_BYTES)
    if flags & 4:  # FEXTRA
        at += 2 + int.from_bytes(head[at : at + 2], "little")
    for flag in (8, 16):  # FNAME, FCOMMENT: each up to a zero byte
        if flags & flag:
            at = head.find(b"\0", at) + 1 or MAX_GZIP_HEAD_BYTES + 1
    if flags & 2:  # FHCRC
        at += 2
    if flags & 0xE0 or at > MAX_GZIP_HEAD_BYTES:
        raise BrokenMemberError(start, "bad_gzip", "not the head of a gzip member")
    if at > len(head):
        raise BrokenMemberError(start, "truncated", "the file ends in the head of the member")
    return at
