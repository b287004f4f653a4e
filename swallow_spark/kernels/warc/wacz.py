"""The WARCs that a zip holds: WACZ, in which browsers' recordings are handed out.

https://specs.webrecorder.net/wacz/: `archive/*.warc.gz` are stored (or deflated) entries. `zipfile` reads the list of
entries; their bytes are read here, since the place of a record in the file is its address.
"""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, BinaryIO, Final, cast

from swallow_spark.kernels.warc.records import Damage, Record

MAGIC: Final = b"PK\x03\x04"
MAX_LIST_BYTES: Final = 16 << 20  # of the list of entries
_NAME: Final = re.compile(r"\.w?arc(?:\.gz|\.zst)?$", re.IGNORECASE)
_LOCAL: Final = struct.Struct("<4s22xHH")
_READ_BYTES: Final = 64 << 10
_ENCRYPTED: Final = 1


def read(stream: BinaryIO, read_warc: Callable[[BinaryIO], Iterator[Record | Damage]]) -> Iterator[Record | Damage]:
    """The records and damages of all WARCs in a zip, one after another. `stream` has to seek.

    Offsets are those in the zip. Of an entry that is deflated, they are made up: as far into its bytes as the record is
    into the WARC. Offsets of records ascend in any case. An entry that can't be read is a gap within the file, wherever
    the list of entries has it.
    """
    try:
        with zipfile.ZipFile(cast(Any, _Bounded(stream))) as opened:
            entries = [entry for entry in opened.infolist() if _NAME.search(entry.filename)]
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        yield Damage(0, "file", "unsupported_format", f"zip, damaged: {error}")
        return
    if not entries:
        yield Damage(0, "file", "unsupported_format", "zip without a WARC in it")
        return
    size = stream.seek(0, io.SEEK_END)
    last, end = -1, 0

    def gap(offset: int, entry: zipfile.ZipInfo, problem: str) -> Damage:
        nonlocal last
        last = max(last, min(max(last + 1, offset), size - 1))
        return Damage(last, "gap", "bad_zip", f"{entry.filename}: {problem}")

    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        start, problem = _begin(stream, entry, end, size)
        if problem:
            yield gap(entry.header_offset, entry, problem)
            continue
        num_bytes = min(entry.compress_size, size - start)
        end = start + num_bytes
        opened_entry = _Entry(stream, start, entry)
        for item in read_warc(cast(BinaryIO, opened_entry)):
            within = item.offset
            if entry.compress_type != zipfile.ZIP_STORED:
                within = min(within, entry.file_size) * num_bytes // max(1, entry.file_size)
            item.offset = last = max(last + 1, start + within)
            yield item if isinstance(item, Record) else _of_entry(item, entry.filename)
        if problem := opened_entry.problem or ("cut" if num_bytes < entry.compress_size else ""):
            yield gap(start, entry, problem)


def _of_entry(damage: Damage, name: str) -> Damage:
    detail = f"{name}: {damage.detail}"
    if damage.reason in ("unsupported_format", "not_a_warc"):  # the zip is read; only this entry holds something else
        return replace(damage, scope="gap", reason="garbage", detail=detail)
    return replace(damage, detail=detail)


def _begin(stream: BinaryIO, entry: zipfile.ZipInfo, min_start: int, size: int) -> tuple[int, str]:
    """Where an entry's bytes begin, and why they can't be read, if so."""
    if entry.flag_bits & _ENCRYPTED:
        return 0, "encrypted"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return 0, f"neither stored nor deflated (method {entry.compress_type})"
    if entry.header_offset < min_start:
        return 0, "shares bytes with another entry"
    stream.seek(min(entry.header_offset, size))  # a listed offset may be more than a seek takes
    head = stream.read(_LOCAL.size)
    if len(head) < _LOCAL.size or not head.startswith(MAGIC):
        return 0, f"no entry begins at {entry.header_offset}"
    _, name_bytes, extra_bytes = _LOCAL.unpack(head)
    return min(entry.header_offset + _LOCAL.size + name_bytes + extra_bytes, size), ""


class _Bounded:
    """A stream for `zipfile`, which would read a list of entries of any size at once."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.seek, self.tell, self.seekable = stream.seek, stream.tell, stream.seekable

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_LIST_BYTES:
            size = MAX_LIST_BYTES + 1
        data = self._stream.read(size)
        if len(data) > MAX_LIST_BYTES:
            raise zipfile.BadZipFile(f"the list of entries has more than {MAX_LIST_BYTES} bytes")
        return data


class _Entry:
    """The content of an entry, read forwards. `problem`: what was wrong, known at its end."""

    def __init__(self, stream: BinaryIO, start: int, entry: zipfile.ZipInfo) -> None:
        self.problem = ""
        self._stream, self._position, self._left = stream, start, entry.compress_size
        self._inflater = None if entry.compress_type == zipfile.ZIP_STORED else zlib.decompressobj(-zlib.MAX_WBITS)
        self._crc, self._expected = 0, entry.CRC

    def seekable(self) -> bool:
        return False  # a zip inside of a zip is not read

    def read(self, size: int) -> bytes:
        data = self._stored(size) if self._inflater is None else self._inflated(size)
        self._crc = zlib.crc32(data, self._crc)
        if not data and not self.problem and self._crc != self._expected:
            self.problem = "a wrong checksum"
        return data

    def _stored(self, size: int) -> bytes:
        self._stream.seek(self._position)
        data = self._stream.read(min(size, self._left))
        self._position += len(data)
        self._left -= len(data)
        if not data and self._left:
            self.problem, self._left = "cut", 0
        return data

    def _inflated(self, size: int) -> bytes:
        inflater = self._inflater
        assert inflater
        while not inflater.eof and not self.problem:
            deflated = inflater.unconsumed_tail or self._stored(_READ_BYTES)
            try:
                data = inflater.decompress(deflated, size)
            except zlib.error as error:
                self.problem = str(error)
                break
            if data:
                return data
            if not deflated and not self.problem:
                self.problem = "cut"
        return b""
