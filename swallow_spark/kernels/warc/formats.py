"""Names of formats that are no WARC, by their first bytes, for messages."""

import re
from typing import Final

from swallow_spark.kernels.warc.records import Record

NUM_FIRST: Final = 512
"""Bytes from which a format is recognised."""

_PACKED: Final = {
    b"\x04\x22\x4d\x18": "lz4",
    b"\x02\x21\x4c\x18": "lz4",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x5d\x00\x00": "lzma",
    b"LZIP": "lzip",
    b"\x89LZO\x00": "lzop",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "RAR",
    b"\xff\x06\x00\x00sNaPpY": "snappy",
    b"\x1f\x9d": "compress (.Z)",
    b"\x1f\xa0": "compress (.Z)",
    b"PAR1": "Parquet",
    b"ORC": "ORC",
    b"Obj\x01": "Avro",
    b"ARROW1": "Arrow",
    b"SQLite format 3\x00": "SQLite",
    b"%PDF-": "PDF",
    b"\x7fELF": "a program",
}
_BEGINNINGS: Final = (
    (re.compile(rb"(?i)<(?:!doctype\s+html|html|head|body)\b"), "HTML"),
    (re.compile(rb"<\?xml\b|<[A-Za-z]"), "XML"),
    (re.compile(rb"[{\[]\s*[\"{\[\]}\d]"), "JSON"),
    (re.compile(rb" ?CDX "), "CDX, an index"),
    (re.compile(rb"\S+ \d{14} "), "CDX, an index"),
)
_TAR_MAGIC: Final = slice(257, 262)


def packed_format(start: bytes) -> str | None:
    """The name of a format in which no record can be found by looking for it: packed, or of other things."""
    for magic, name in _PACKED.items():
        if start.startswith(magic):
            return None if name == "bzip2" and start[4:10] != b"1AY&SY" and len(start) > 10 else name
    return None


def text_format(start: bytes) -> str | None:
    """The name of a format in which records may be found, but weren't."""
    if start[_TAR_MAGIC] == b"ustar":
        return "tar"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    return next((name for pattern, name in _BEGINNINGS if pattern.match(text)), None)


def extract(record: Record) -> str | None:
    """WET or WAT, if the record is what Common Crawl's files of these kinds consist of: no response, but text or
    metadata that was taken from one."""
    media_type = (record.content_type or "").partition(";")[0].strip().lower()
    if record.record_type == "conversion" and media_type in ("", "text/plain"):
        return "WET"
    return "WAT" if record.record_type == "metadata" and media_type == "application/json" else None


def without_responses(name: str) -> str:
    """What to say of a file of such records."""
    what = "extracted text" if name == "WET" else "metadata"
    return f"{name}; {what} without the responses that pages are read from: name the WARC files of the crawl instead"
