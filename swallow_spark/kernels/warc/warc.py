"""The records of a WARC file with their offsets, and all damage in the file.

Intact compressed files consist of valid members with one record each, which are inflated as a whole and framed quickly.
From the first irregularity on, `framing.CarefulReader` reads the file. WARCs packed with zstd, or stored in a zip
(WACZ), and ARC files give the same.
"""

import io
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO, Final

from swallow_spark.kernels.warc import arc, formats, wacz, zst
from swallow_spark.kernels.warc.framing import SCAN_BYTES, CarefulReader
from swallow_spark.kernels.warc.members import GZIP_MAGIC, WARC, BrokenMemberError, Member, Window, inflate_member
from swallow_spark.kernels.warc.records import Damage, Record

__all__ = ["MAX_RECORD_BYTES", "Damage", "Record", "read"]

VERSION: Final = 2  # raise it when ordinary files give other records or damages
_BYTES_LOOKED_AT: Final = 1 << 20
_FIRST_BYTES: Final = max(formats.NUM_FIRST, arc.MAX_LINE_BYTES)
MAX_RECORD_BYTES: Final = 64 << 20  # Common Crawl cuts payloads at 1 MiB (since 2025 at 5 MiB)


def read(
    stream: BinaryIO, *, base_offset: int = 0, max_record_bytes: int = MAX_RECORD_BYTES
) -> Iterator[Record | Damage]:
    """The records and damages of a WARC file, in file order; compressed (gzip, zstd) per record, as a whole, or not at
    all; or of an ARC file, or of a WACZ file, for which the stream has to seek.

    Each framed record comes exactly once: as a `Record`, or as a `Damage` of scope `record`. Damaged input raises
    nothing; exceptions of `stream.read` are passed on. `base_offset`, the position of the stream in its file, is added
    to offsets. A block over `max_record_bytes` is a damage (`record_too_large`); memory is bounded by about four times
    that for any file. The stream is read forwards only and need not be seekable.

    Reasons, scope `record`: truncated, bad_crc, bad_gzip, bad_zstd, wrong_content_length, bad_header, record_too_large;
    `gap`: garbage, truncated, bad_crc, bad_gzip, bad_zstd, bad_zip; `file`: empty, not_a_warc, unsupported_format
    (alone; its detail is the format's name, a semicolon, more), shared_gzip_member (a note: its records are read).
    """
    window = Window(stream)
    if window.at(0, 3) == GZIP_MAGIC:
        while (member := inflate_member(window, window.start, max_record_bytes + SCAN_BYTES)) is not None:
            data, end = member
            offset = window.start
            record = Record.of_member(base_offset + offset, end - offset, data, max_record_bytes)
            if record is None:
                break
            window.release(end)
            yield record
    for item in _slow_items(stream, window, max_record_bytes):
        item.offset += base_offset
        yield item


def unsupported(stream: BinaryIO) -> str | None:
    """Why no page can be in a file, by the first mebibyte of a stream that can seek: the format, a semicolon, what to
    say of it. None if there may be one, as in what wasn't read: WET and WAT are named only if all of the file was."""
    found: str | None = None
    start = stream.read(_BYTES_LOOKED_AT)
    is_all = not stream.read(1)
    stream.seek(0)
    first = stream if start.startswith(wacz.MAGIC) else io.BytesIO(start)
    for item in _slow_items(first, Window(first), _BYTES_LOOKED_AT):
        if isinstance(item, Damage):
            if item.reason == "unsupported_format":
                return item.detail
            if item.scope != "file":  # it may have cost a response
                return None
        elif not is_all:
            return None
        elif item.record_type != "warcinfo":
            found = formats.extract(item)
            if found is None:
                return None
    return found and formats.without_responses(found)


def _slow_items(stream: BinaryIO, window: Window, max_record_bytes: int) -> Iterator[Record | Damage]:
    """What is left to read of a file; its format is looked at if that is all of it."""
    if window.start:
        yield from CarefulReader(window, max_record_bytes).items()
        return
    start = window.at(0, _FIRST_BYTES)
    if name := formats.packed_format(start):
        yield _unsupported(name)
    elif zst.is_zstd(start):
        yield from _named(zst.read(window, max_record_bytes), "zstd")
    elif start.startswith(wacz.MAGIC) and stream.seekable():
        yield from wacz.read(stream, partial(read, max_record_bytes=max_record_bytes))
    else:
        inflated = _inflated(window) if start.startswith(GZIP_MAGIC) else start
        layout = arc.LAYOUT if arc.is_arc(inflated) else WARC
        name = formats.text_format(inflated)
        name = f"{name} in gzip" if name and inflated is not start else name
        yield from _named(CarefulReader(window, max_record_bytes, layout).items(), name)


def _inflated(window: Window) -> bytes:
    """The first bytes that a gzip file holds, up to the first damage."""
    inflated = b""
    try:
        member = Member(window, 0, SCAN_BYTES)
        while len(inflated) < _FIRST_BYTES and (data := member.more()):
            inflated += data
    except BrokenMemberError:
        pass
    return inflated[:_FIRST_BYTES]


def _named(items: Iterator[Record | Damage], name: str | None) -> Iterator[Record | Damage]:
    """The items of a file, in which its format is named if there is no record."""
    for item in items:
        if name and isinstance(item, Damage) and item.reason == "not_a_warc":
            yield _unsupported(name)
        else:
            yield item


def _unsupported(what: str) -> Damage:
    return Damage(0, "file", "unsupported_format", f"{what}; neither a WARC (plain, gzip, zstd), nor ARC or WACZ")
