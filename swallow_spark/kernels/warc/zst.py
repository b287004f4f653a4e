"""WARCs packed with zstd (`.warc.zst`), with or without a dictionary in the file.

https://iipc.github.io/warc-specifications/specifications/warc-zstd/: each record is one or more zstd frames. A
skippable frame at the start may contain the dictionary of all frames, itself packed or not; others are ignored.
"""

import io
import re
from collections.abc import Iterator
from functools import partial
from typing import Final

import zstandard

from swallow_spark.kernels.text.packed import DamagedError, window_log, zstd_frame
from swallow_spark.kernels.warc.framing import SCAN_BYTES, CarefulReader
from swallow_spark.kernels.warc.members import CHUNK_BYTES, WARC, BrokenMemberError, Layout, Packed, Window
from swallow_spark.kernels.warc.records import Damage, Record

FRAME: Final = b"\x28\xb5\x2f\xfd"
_DICTIONARY_FRAME: Final = b"\x5d\x2a\x4d\x18"
_SKIPPABLE: Final = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
MAX_DICTIONARY_BYTES: Final = 8 << 20  # packed and unpacked; the format asks readers for no more


def is_zstd(start: bytes) -> bool:
    """Whether a file that begins with these (at least 4) bytes is packed with zstd."""
    return start.startswith(FRAME) or _SKIPPABLE.match(start) is not None


def read(window: Window, max_record_bytes: int) -> Iterator[Record | Damage]:
    """As `warc.read`, for a file from its start; offsets are those of frames."""
    try:
        frames = zstandard.ZstdDecompressor(_dictionary(window), max_window_size=1 << window_log())
        frames.decompressobj()  # checks the dictionary
    except (ValueError, zstandard.ZstdError) as error:
        yield Damage(0, "file", "unsupported_format", f"zstd: {error}")
        return
    _skip_extensions(window, window.start)
    layout = WARC._replace(magic=FRAME, member=partial(_Frame, frames=frames), start=re.compile(re.escape(FRAME)))
    any_record = False
    while (whole := _whole_frame(window, layout, max_record_bytes)) is not None:
        data, end = whole
        if data:
            record = Record.of_member(window.start, end - window.start, data, max_record_bytes)
            if record is None:
                break
            any_record = True
            yield record
        window.release(end)
    yield from CarefulReader(window, max_record_bytes, layout, any_record=any_record).items()


def _dictionary(window: Window) -> zstandard.ZstdCompressionDict | None:
    """The file's dictionary, if it has one; the window begins behind it then. Raises ValueError if it can't be used, or
    is missing."""
    head = window.at(0, 8)
    size = int.from_bytes(head[4:], "little")
    if not head.startswith(_DICTIONARY_FRAME):
        # the first frame, or what can be seen of it
        with_dictionary = head.startswith(FRAME) and _dictionary_number(window.at(0, 18))
        if with_dictionary:
            raise ValueError(f"needs the dictionary {with_dictionary}, which isn't in the file")
        return None
    if size > MAX_DICTIONARY_BYTES:
        raise ValueError(f"its dictionary of {size} bytes is over the limit of {MAX_DICTIONARY_BYTES}")
    data = window.at(len(head), size)
    if len(data) < size:
        raise ValueError("the file ends inside of its dictionary")
    window.release(len(head) + size)
    if data.startswith(FRAME):
        data = _unpacked(data)
    return zstandard.ZstdCompressionDict(data)


def _unpacked(dictionary: bytes) -> bytes:
    unpacked = bytearray()
    try:
        for block in zstd_frame(_Bytes(dictionary), zstandard.ZstdDecompressor(max_window_size=1 << window_log())):
            unpacked += block
            if len(unpacked) > MAX_DICTIONARY_BYTES:
                raise ValueError(f"its dictionary is over the limit of {MAX_DICTIONARY_BYTES} bytes")
    except OSError as error:
        raise ValueError(f"its dictionary is damaged: {error}") from None
    return bytes(unpacked)


class _Bytes(io.BytesIO):
    def exactly(self, size: int) -> bytes:
        data = self.read(size)
        if len(data) < size:
            raise DamagedError("it is cut")
        return data


def _dictionary_number(head: bytes) -> int:
    try:
        return zstandard.get_frame_parameters(head).dict_id
    except zstandard.ZstdError:
        return 0


def _whole_frame(window: Window, layout: Layout, max_record_bytes: int) -> tuple[bytes, int] | None:
    """The content of the frame at the window's start, and where the next one begins. None if there is none, it is
    damaged, or too large for a record."""
    start, max_bytes = window.start, max_record_bytes + SCAN_BYTES
    if window.at(start, len(FRAME)) != FRAME:
        return None
    try:
        frame = layout.member(window, start, max_bytes)
        data = frame.take(max_bytes + 1)
    except BrokenMemberError:
        return None
    return None if frame.end is None or len(data) > max_bytes else (data, frame.end)


class _Frame(Packed):
    """A zstd frame, unpacked block by block (at most 128 KiB), with the skippable frames behind it."""

    def __init__(self, window: Window, start: int, max_held_bytes: int, *, frames: zstandard.ZstdDecompressor) -> None:
        super().__init__(window, start, max_held_bytes)
        self._blocks = zstd_frame(self, frames)
        self._broken: BrokenMemberError | None = None

    def exactly(self, size: int) -> bytes:
        data = self.window.at(self._next, size)
        self._next += len(data)
        self.window.release(self._next - self._max_held_bytes)
        if len(data) < size:
            detail = f"the file ends {self._next - self.start} bytes into the frame"
            raise BrokenMemberError(self.start, "truncated", detail)
        return data

    def more(self) -> bytes:
        if self._broken:
            raise self._broken
        try:
            for data in self._blocks:
                if data:
                    return data
        except DamagedError as error:
            self._broken = BrokenMemberError(self.start, "bad_zstd", str(error))
        except BrokenMemberError as error:
            self._broken = error
        if self._broken:
            self._broken.num_read = self.num_read
            raise self._broken
        if self.end is None:
            self.end = _skip_extensions(self.window, self._next, self._max_held_bytes)
        return b""


def _skip_extensions(window: Window, position: int, max_held_bytes: int = 0) -> int:
    """Where the skippable frames at a position end, or the file."""
    while _SKIPPABLE.match(head := window.at(position, 8)) and len(head) == 8:
        end = position + 8 + int.from_bytes(head[4:], "little")
        while position < end and (data := window.at(position, min(end - position, CHUNK_BYTES))):
            position += len(data)
            window.release(position - max_held_bytes)
        if position < end:
            break
    return position
