"""Streams packed with gzip or zstd, unpacked piece by piece up to the point where they are damaged.

A stream may hold several gzip members and zstd frames (RFC 1952, RFC 8878), skippable frames between them (as pzstd
writes), and NUL bytes behind them (as tapes and disk images leave).
"""

import io
import os
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final, Protocol

import zstandard

from swallow_spark.errors import InputError

GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_SKIPPABLE: Final = b"\x2a\x4d\x18"  # behind a byte from 0x50 to 0x5f
_READ_BYTES: Final = 1 << 20
_GZIP_BYTES: Final = 64 << 10
_PIECE_BYTES: Final = 1 << 20
_MAX_TEXT_BYTES: Final = 1 << 30

WINDOW_VARIABLE: Final = "SWALLOW_SPARK_ZSTD_LONG"
_WINDOW_LOG: Final = 27  # 128 MiB: the most that the zstd program takes without --long


class DamagedError(OSError):
    """What a stream holds, not reading it, is at fault."""


def is_packed(start: bytes) -> bool:
    """Whether a stream that begins with these (at least 4) bytes is gzip or zstd."""
    return start.startswith((GZIP, _ZSTD)) or _is_skippable(start)


def unpacked(stream: Any) -> Iterator[bytes]:
    """The content of a stream (with `read`), packed or plain, in pieces of at most a mebibyte.

    Raises DamagedError where it is cut, damaged, or followed by something else, after all that can be read before: of
    gzip each byte, of zstd each block (at most 128 KiB).
    """
    source = _Source(stream)
    if not is_packed(source.peek(4)):
        while piece := source.take(_PIECE_BYTES):
            yield piece
        return
    frames = zstandard.ZstdDecompressor(max_window_size=1 << window_log())
    while start := source.skip_nuls():
        if start.startswith(GZIP):
            yield from _member(source)
        elif start.startswith(_ZSTD):
            yield from zstd_frame(source, frames)
        elif _is_skippable(start):
            source.skip(int.from_bytes(source.exactly(8)[4:], "little"))
        else:
            raise DamagedError(f"neither gzip nor zstd behind the last member: {start!r}")


def text_of(content: bytes) -> str:
    """The text of a list, packed or plain, of at most a gibibyte; U+FFFD where it isn't UTF-8. Raises InputError."""
    parts, size = [], 0
    try:
        for piece in unpacked(io.BytesIO(content)):
            parts.append(piece)
            size += len(piece)
            if size > _MAX_TEXT_BYTES:
                raise OSError(f"over {_MAX_TEXT_BYTES:,} bytes")
    except OSError as error:
        raise InputError(f"can't read a list: {error}") from None
    return b"".join(parts).decode("utf-8-sig", errors="replace")


def _is_skippable(start: bytes) -> bool:
    return start[1:4] == _SKIPPABLE and start[0] & 0xF0 == 0x50


def window_log() -> int:
    """The base-2 logarithm of the largest window of zstd, in bytes, that is read."""
    value = os.environ.get(WINDOW_VARIABLE, "")
    return min(max(int(value), 10), 31) if value.isascii() and value.isdigit() else _WINDOW_LOG


class _Source:
    """A stream whose bytes can be looked at before they are taken."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._held, self._at = b"", 0

    def peek(self, size: int) -> bytes:
        """The next `size` bytes; fewer at the end."""
        while len(self._held) - self._at < size and (read := self._stream.read(_READ_BYTES)):
            self._held, self._at = self._held[self._at :] + read, 0
        return self._held[self._at : self._at + size]

    def take(self, size: int) -> bytes:
        taken = self.peek(size)
        self._at += len(taken)
        return taken

    def give_back(self, size: int) -> None:
        """Undoes a part of the last `take`."""
        self._at -= size

    def exactly(self, size: int) -> bytes:
        taken = self.take(size)
        if len(taken) < size:
            raise DamagedError("cut: the file ends inside a gzip member or zstd frame")
        return taken

    def skip(self, size: int) -> None:
        while size:
            size -= len(self.exactly(min(size, _READ_BYTES)))

    def skip_nuls(self) -> bytes:
        """The next 4 bytes behind any NULs; empty at the end."""
        while (start := self.peek(4)).startswith(b"\0"):
            run = self.take(_READ_BYTES)
            self.give_back(len(run.lstrip(b"\0")))
        return start


def _member(source: _Source) -> Iterator[bytes]:
    """The content of a gzip member."""
    inflater, data = zlib.decompressobj(16 + zlib.MAX_WBITS), b""
    while not inflater.eof:
        data = data or source.take(_GZIP_BYTES)
        before = inflater.copy()
        try:
            piece = inflater.decompress(data, _PIECE_BYTES)
        except zlib.error as error:
            yield _until_error(before, data)
            raise DamagedError(f"damaged gzip: {error}") from None
        yield piece
        if not data and not piece and not inflater.eof:
            raise DamagedError("cut: the file ends inside a gzip member")
        data = inflater.unconsumed_tail
    source.give_back(len(inflater.unused_data))


def _until_error(before: Any, data: bytes) -> bytes:
    """The bytes that `before`, an inflater, gives for `data` before it fails. Its output is lost with the error, but
    not if it is asked for so few bytes that it stops before."""
    low, high = 0, _PIECE_BYTES
    while high - low > 1:
        size = (low + high) // 2
        try:
            before.copy().decompress(data, size)
            low = size
        except zlib.error:
            high = size
    piece: bytes = before.decompress(data, low) if low else b""
    rest = before.unconsumed_tail if low else data
    last = b""
    with suppress(zlib.error):  # without room it went on to the error, which later input than the last byte brings
        for at in range(len(rest)):
            if last := before.decompress(rest[at : at + 1], 1):
                break
    return piece + last


class Exact(Protocol):
    """Bytes to take from."""

    def exactly(self, size: int) -> bytes:
        """The next `size` bytes; raises an error if there are fewer."""


def zstd_frame(source: Exact, frames: zstandard.ZstdDecompressor) -> Iterator[bytes]:
    """The content of a zstd frame, block by block: the error of a block takes nothing with it of those before. Raises
    DamagedError where it is damaged, or over the limit of `window_log`."""
    head, window, has_checksum = _head(source)
    if window > 1 << window_log():
        log = (window - 1).bit_length()
        raise DamagedError(
            f"zstd with a window of {window:,} bytes (zstd --long={log}), over the limit of {1 << window_log():,}: "
            f"set the environment variable {WINDOW_VARIABLE}={log} (on a cluster also "
            f"spark.executorEnv.{WINDOW_VARIABLE}); each task may then need as much memory"
        )
    frame = frames.decompressobj()
    try:
        yield frame.decompress(head)
        is_last = False
        while not is_last:
            start = source.exactly(3)
            block = int.from_bytes(start, "little")
            is_last, kind, size = bool(block & 1), block >> 1 & 3, block >> 3
            yield frame.decompress(start + source.exactly(1 if kind == 1 else size))
        if has_checksum:
            yield frame.decompress(source.exactly(4))
    except zstandard.ZstdError as error:
        raise DamagedError(f"damaged zstd: {error}") from None


def _head(source: Exact) -> tuple[bytes, int, bool]:
    """A zstd frame's header, its window in bytes, and whether a checksum follows its blocks."""
    head = source.exactly(5)
    flags = head[4]
    is_single = bool(flags & 0x20)
    size_bytes = (is_single, 2, 4, 8)[flags >> 6]
    head += source.exactly((not is_single) + (0, 1, 2, 4)[flags & 3] + size_bytes)
    if is_single:
        window = int.from_bytes(head[-size_bytes:], "little") + 256 * (size_bytes == 2)
    else:
        base = 1 << (10 + (head[5] >> 3))
        window = base + base // 8 * (head[5] & 7)
    return head, window, bool(flags & 4)
