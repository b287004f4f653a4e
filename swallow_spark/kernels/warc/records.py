"""The results of reading a WARC: records and damages."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.header import decode_header
from typing import Final, Literal

import numpy as np
from numba import njit

from swallow_spark.kernels.warc.heads import ABSENT, equals, names, scan, trimmed

MAX_HEAD_BYTES: Final = 64 << 10  # of a record; real heads are below 4 kB
HEAD_END: Final = re.compile(rb"\n\r*\n")
_BLANKS: Final = " \t\r\n\x0c"  # ASCII ones only, as FastWARC
_FIELDS: Final = names("content-length", "warc-type", "content-type")
_RESPONSE, _APPLICATION_HTTP, _ = names("response", "application/http", "")
_HTTP: Final = re.compile(r"(?:application|message)/http(?![\w.+-])", re.IGNORECASE | re.ASCII)
_YEAR_OR_MONTH: Final = re.compile(r"\d{4}(?:-\d\d)?", re.ASCII)
_ENCODED_WORDS: Final = re.compile(r"=\?[^?\s]+\?[bq]\?[^?\s]*\?=(?:\s+=\?[^?\s]+\?[bq]\?[^?\s]*\?=)*", re.IGNORECASE)
_UNPLAIN_RECORD, _UNSURE, _OTHER, _HTTP_RESPONSE = range(4)


class Record:
    """A complete record: framed, with its declared length and the right checksum."""

    __slots__ = ("_block", "_data", "_end", "_headers", "_start", "holds_http_response", "length", "offset")

    offset: int
    """Byte offset in the file of the record's gzip member, or of the record in a plain file. In a member with several
    records, each after the first has the previous offset plus one, so offsets always ascend."""
    length: int
    """Bytes of the record in the file; its inflated bytes if it shares a gzip member with others."""
    holds_http_response: bool
    """Whether it is a `response` declared as HTTP or without a type (others are DNS answers or FTP files)."""

    def __init__(self, offset: int, length: int, headers: dict[str, str], block: bytes) -> None:
        """`headers` by lower-case name."""
        self.offset = offset
        self.length = length
        self._headers: dict[str, str] | None = headers
        self._block: bytes | None = block
        self._data = np.frombuffer(block, dtype=np.uint8)  # contains the block from `_start` to `_end`
        self._start, self._end = 0, len(block)
        self.holds_http_response = self._says_http_response()

    @classmethod
    def of_member(cls, offset: int, length: int, data: bytes | bytearray, max_block_bytes: int) -> "Record | None":
        """The record that fills an inflated gzip member; None if it is irregular in any way. Its headers are parsed
        and its block is copied on first use."""
        array = np.frombuffer(data, dtype=np.uint8)
        kind, start, end = _frame(array, max_block_bytes)
        if kind == _UNPLAIN_RECORD or not begins_record(data):
            return None
        record = cls.__new__(cls)
        record.offset = offset
        record.length = length
        record._headers = record._block = None
        record._data = array
        record._start = start
        record._end = end
        record.holds_http_response = kind == _HTTP_RESPONSE if kind != _UNSURE else record._says_http_response()
        return record

    def _says_http_response(self) -> bool:
        return self.record_type == "response" and (not self.content_type or _HTTP.match(self.content_type) is not None)

    @property
    def record_type(self) -> str:
        """`response`, `request`, `warcinfo`, ...; lower-case."""
        return self.headers["warc-type"].lower()

    @property
    def content_type(self) -> str | None:
        """The Content-Type of the record (not of the page): `application/http; msgtype=response`."""
        return self.headers.get("content-type")

    @property
    def block(self) -> bytes:
        """What follows the WARC headers: for a response, the HTTP head and body."""
        if self._block is None:
            self._block = self._data[self._start : self._end].tobytes()
        return self._block

    @property
    def block_bytes(self) -> int:
        return int(self._end - self._start)

    @property
    def stored(self) -> tuple[np.ndarray, int, int]:
        """(uint8 (n,), start and end of the block in it): the block without a copy."""
        return self._data, self._start, self._end

    @property
    def headers(self) -> dict[str, str]:
        """WARC headers by lower-case name; a repeated one has its last value."""
        if self._headers is None:
            self._headers = parse_head(self._data[: self._start].tobytes()) or {}
        return self._headers

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Record):
            return NotImplemented
        mine, others = ((r.offset, r.length, r.headers, r.block, r.holds_http_response) for r in (self, other))
        return mine == others

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Record({self.offset}, {self.length}, {self.headers}, {self.block[:100]!r})"

    @property
    def url(self) -> str | None:
        """WARC-Target-URI, without the angle brackets of some writers."""
        url = self.headers.get("warc-target-uri")
        return url.removeprefix("<").removesuffix(">") if url else None

    @property
    def date(self) -> datetime | None:
        """WARC-Date in UTC; None if it is missing or not a date. One of reduced precision is the first moment of its
        year, month, day or minute."""
        value = self.headers.get("warc-date", "").upper()
        if _YEAR_OR_MONTH.fullmatch(value):
            value = f"{value}-01-01"[:10]
        try:
            date = datetime.fromisoformat(value)
            return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            return None


@dataclass(slots=True)
class Damage:
    """Damage in a file. Scope `record`: a framed record is lost; `gap`: bytes without a record; `file`: all of it."""

    offset: int
    scope: Literal["record", "file", "gap"]
    reason: str
    detail: str


@njit(cache=True, nogil=True)
def _frame(data: np.ndarray, max_block_bytes: int) -> tuple[int, int, int]:
    """(kind of the record that fills `data`, start and end of its block). _UNPLAIN_RECORD if its length, type or end is
    not written as in nearly all records."""
    unplain = (_UNPLAIN_RECORD, 0, 0)
    end, start, length_from, length_to, type_from, type_to, content_from, content_to, odd = scan(
        data, 0, min(data.size, MAX_HEAD_BYTES), _FIELDS
    )
    if end < 0 or odd or length_from < 0 or type_from < 0:
        return unplain
    length_from, length_to = trimmed(data, length_from, length_to)
    type_from, type_to = trimmed(data, type_from, type_to)
    if not 0 < length_to - length_from <= 18 or type_from == type_to:
        return unplain
    if data[type_from] == 0x3D:  # perhaps an encoded word, which may be empty
        return unplain
    length = 0
    for i in range(length_from, length_to):
        if not 0x30 <= data[i] <= 0x39:
            return unplain
        length = 10 * length + data[i] - 0x30
    if length > max_block_bytes or start + length > data.size:
        return unplain
    for i in range(start + length, data.size):
        if data[i] != 0x0A and data[i] != 0x0D:
            return unplain
    if not equals(data, type_from, type_to, _RESPONSE):
        return _OTHER, start, start + length
    if content_from < 0:
        return (_HTTP_RESPONSE if content_from == ABSENT else _UNSURE), start, start + length
    parameters = content_from
    while parameters < content_to and data[parameters] != 0x3B:
        parameters += 1
    media_from, media_to = trimmed(data, content_from, parameters)
    is_http = equals(data, media_from, media_to, _APPLICATION_HTTP)
    return (_HTTP_RESPONSE if is_http else _UNSURE), start, start + length


def begins_record(data: bytes | bytearray) -> bool:
    """Whether bytes begin as a record does. Some writers spell the version in lower case."""
    return data[:5].upper() == b"WARC/"


def parse_head(head: bytes) -> dict[str, str] | None:
    """The headers of a head by lower-case name; None if WARC-Type or a valid Content-Length is missing.

    As ISO 28500 has them: values may go on in further lines, begin there, be UTF-8 or consist of encoded words (RFC
    2047). Encoded words inside of a value are left as they are: a URL may contain what looks like one.
    """
    headers: dict[str, str] = {}
    name = ""
    for line in head.decode("utf-8", "replace").split("\n")[1:]:
        if line[:1] in (" ", "\t") and name:  # folded
            headers[name] = f"{headers[name]} {line.strip(_BLANKS)}".strip(_BLANKS)
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip(_BLANKS).lower()
            headers[name] = value.strip(_BLANKS)
    for name, value in headers.items():
        if value.startswith("=?") and _ENCODED_WORDS.fullmatch(value):
            headers[name] = _decoded_words(value)
    length = headers.get("content-length", "")
    if not headers.get("warc-type") or not (length.isascii() and length.isdigit()):
        return None
    headers["content-length"] = length = length.lstrip("0") or "0"
    return headers if len(length) <= 18 else None


def _decoded_words(value: str) -> str:
    try:
        words = [(word, charset or "ascii") for word, charset in decode_header(value)]
        return "".join(w.decode(charset) if isinstance(w, bytes) else w for w, charset in words).strip(_BLANKS)
    except (HeaderParseError, LookupError, ValueError):  # not base 64, an unknown charset, bytes that it lacks
        return value
