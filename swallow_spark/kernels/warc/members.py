"""A file's bytes for framing records in them: as they are, or as gzip members that may be damaged.

Gzip framing (RFC 1952) is done here on raw deflate, for zlib's own says neither where a member with a wrong checksum
ends, nor gives out what comes before an error. Nothing is held but a window of the file and one chunk inflated.
"""

import re
import struct
import zlib
from abc import ABC, abstractmethod
from typing import BinaryIO, Final

import deflate
import numpy as np
from numba import njit

GZIP_MAGIC: Final = b"\x1f\x8b\x08"
READ_BYTES: Final = 256 << 10  # asked of the stream at once
CHUNK_BYTES: Final = 16 << 10  # compressed bytes taken, and bytes inflated, at once
_BLOCK_BYTES: Final = 64  # looked at together
_TRAILER: Final = struct.Struct("<II")  # CRC-32, and the size modulo 2**32
_MIN_MEMBER_BYTES: Final = 18  # a head and a trailer
MAX_GZIP_HEAD_BYTES: Final = 64 << 10


class Window:
    """A stream's bytes by position, from `start` on; the stream itself is only read forwards, never sought.

    Bytes stay until `release`: what has been read may have to be read again in another way.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.start = 0
        self._ended = False
        self._stream = stream
        self._held = bytearray()
        self._held_from = 0  # at `start` or before it: what is released goes when more is read
        self._heads: list[int] = []  # where gzip members may begin, the next one last
        self._searched_to = 0

    @property
    def end(self) -> int:
        return self._held_from + len(self._held)

    def at(self, position: int, size: int) -> bytes:
        """The bytes from `position` on: `size` of them, fewer only at the end of the stream."""
        while self.end < position + size and not self._ended:
            self._read_more()
        if position < self.start:
            raise ValueError(f"bytes before {self.start} are gone, asked for {position}")
        begin = position - self._held_from
        return bytes(memoryview(self._held)[begin : begin + size])

    def held(self, position: int, end: int) -> bytearray:
        """The bytes from `position` on to `end`, which `next_head` told."""
        return self._held[position - self._held_from : end - self._held_from]

    def _read_more(self) -> None:
        data = self._stream.read(READ_BYTES)
        self._ended = not data
        del self._held[: self.start - self._held_from]
        self._held_from = self.start
        self._held += data

    def next_head(self, position: int, max_bytes: int) -> int:
        """Where the bytes that gzip members begin with are next, from `position` on; where the stream ends, or what
        has been read of it, if they are not within `max_bytes`."""
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
        """Let go of the bytes before `position`."""
        self.start = max(self.start, min(position, self.end))


@njit(cache=True, nogil=True)
def _find_heads(data: np.ndarray, start: int) -> np.ndarray:
    """int64, ascending: where GZIP_MAGIC is. Blocks without it are passed over by a loop that the compiler makes
    vectors of."""
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
    """What the gzip member at `start` holds, and where it ends; None where it is damaged in any way, is empty, is not
    followed by another one or the end of the stream, or holds or takes more than `max_bytes`.

    libdeflate is the fastest on members of a few kilobytes, but must be told their ends and sizes: what lies before the
    next head is taken for the member, and believed if its last bytes are the checksum and the size of what comes out.
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
            pass  # damaged, or what was taken for the next member is part of this one: by chance, once in 16 MB
        else:
            if len(inflated) == size and deflate.crc32(inflated) == crc:
                return inflated, end
    return _inflate_member_slowly(window, start, max_bytes)


def _inflate_member_slowly(window: Window, start: int, max_bytes: int) -> tuple[bytes, int] | None:
    """As `inflate_member`, by zlib, which finds the end of a member itself."""
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
    """A gzip member that cannot be inflated to its end, or not to what was compressed.

    `end` is where it seems to end (a damaged one may seem to run on into the next), None where it does not; `num_read`
    how many of its bytes were read to find that out.
    """

    def __init__(self, reason: str, detail: str, end: int | None = None) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
        self.end = end
        self.num_read = 0
        self.told = False  # a Damage row says so already


class Source(ABC):
    """Bytes to frame records in; `tell` counts those taken or skipped."""

    def __init__(self, window: Window, start: int) -> None:
        self.window = window
        self.start = start
        self.tell = 0
        self._buffer = bytearray()

    @abstractmethod
    def more(self) -> bytes:
        """The next bytes; b"" at the end."""

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, fewer only at the end."""
        while len(self._buffer) < size and (data := self.more()):
            self._buffer += data
        return bytes(memoryview(self._buffer)[:size])

    def peek_through(self, pattern: re.Pattern[bytes], max_bytes: int) -> bytes | None:
        """The next bytes up to the end of the first match; None where none ends within `max_bytes`."""
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
        """Pass over `size` bytes, fewer only at the end, holding none of them; how many there were."""
        left = size
        while left and self.peek(1):
            step = min(left, len(self._buffer))
            del self._buffer[:step]
            self.tell += step
            left -= step
        return size - left

    def skip_line_ends(self) -> int:
        """Pass over line ends; how many bytes they were."""
        before, size = self.tell, 4
        while data := self.peek(size):
            rest = data.lstrip(b"\r\n")
            self.skip(len(data) - len(rest))
            if rest:
                break
            size = CHUNK_BYTES
        return self.tell - before

    def put_back(self, data: bytes) -> None:
        self._buffer[:0] = data
        self.tell -= len(data)


class Plain(Source):
    """An uncompressed file from `start` to its end."""

    def more(self) -> bytes:
        data = self.window.at(self.start + self.tell + len(self._buffer), CHUNK_BYTES)
        self.window.release(self.start + self.tell + len(self._buffer) + len(data))
        return data


class Member(Source):
    """A gzip member, inflated a chunk at a time whatever it inflates to. Raises BrokenMemberError."""

    def __init__(self, window: Window, start: int, max_held_bytes: int) -> None:
        super().__init__(window, start)
        self.end: int | None = None
        self._max_held_bytes = max_held_bytes
        self._next = start + _gzip_head_length(window, start)
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._crc = 0
        self._size = 0
        self._broken: BrokenMemberError | None = None  # raised once the bytes before it have been given out

    @property
    def num_read(self) -> int:
        """Compressed bytes read so far."""
        return self._next - self.start

    def more(self) -> bytes:
        while self.end is None or self._broken:
            if self._broken:
                self._broken.num_read = self.num_read
                raise self._broken
            deflated = self._inflater.unconsumed_tail
            if not deflated:
                deflated = self.window.at(self._next, CHUNK_BYTES)
                self._next += len(deflated)
                # the search behind a broken member begins right behind its start, or as far back as memory allows
                self.window.release(self._next - self._max_held_bytes)
            at_end = not deflated
            try:
                data = self._inflater.decompress(deflated, CHUNK_BYTES)
            except zlib.error as error:
                self._broken = BrokenMemberError("bad_gzip", str(error))
                data = b"" if self._size else _inflate_to_error(deflated)
            self._crc = zlib.crc32(data, self._crc)
            self._size += len(data)
            if self._inflater.eof:
                self._finish(self._next - len(self._inflater.unused_data))
            elif at_end and not data and not self._broken:
                detail = f"the file ends {self._next - self.start} bytes into the member"
                self._broken = BrokenMemberError("truncated", detail)
            if data:
                return data
        return b""

    def _finish(self, trailer: int) -> None:
        """Check the member's trailer: CRC-32 and size of what was inflated."""
        self.end = trailer + 8
        expected = self.window.at(trailer, 8)
        if len(expected) < 8:
            self._broken = BrokenMemberError("truncated", "the file ends in the trailer of the member")
        elif expected != self._crc.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little"):
            self._broken = BrokenMemberError(
                "bad_crc", "the checksum of the gzip member does not fit what it holds", self.end
            )


def _inflate_to_error(deflated: bytes) -> bytes:
    """What can be inflated of bytes that are damaged somewhere; zlib gives nothing of a piece that has an error."""
    inflater, inflated = zlib.decompressobj(-zlib.MAX_WBITS), bytearray()
    try:
        for at in range(len(deflated)):
            inflated += inflater.decompress(deflated[at : at + 1], CHUNK_BYTES)
    except zlib.error:
        pass  # the caller has it
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
        raise BrokenMemberError("bad_gzip", "not the head of a gzip member")
    if at > len(head):
        raise BrokenMemberError("truncated", "the file ends in the head of the member")
    return at
